// SPDX-License-Identifier: MIT
// Bundles and minifies the console: bundle.mjs OUTPUT_FOLDER. The same input gives the same bytes.
import { build } from 'esbuild';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));

await build({
  absWorkingDir: here,
  entryPoints: [
    { in: 'src/main.js', out: 'console' },
    { in: 'src/console.css', out: 'console' },
    { in: 'src/theme.js', out: 'theme' },
  ],
  outdir: path.resolve(process.argv[2]),
  bundle: true,
  minify: true,
  format: 'iife',
  target: ['chrome111', 'firefox115', 'safari16.4'],
  charset: 'utf8',
  legalComments: 'none', // licenses.txt has them whole
  logLevel: 'warning',
});
