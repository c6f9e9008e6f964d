// SPDX-License-Identifier: MIT
// What others know of a Dockerfile, a compose file and manifests of Kubernetes: reads JSON
// ({ dockerfile: text, compose: object, kubernetes: [object] }, each if it is to be looked at) from
// its input and prints what is wrong, a line each. The schema of the Compose Specification comes
// with dclint, the types of Kubernetes with kubernetes-models, which are made from its OpenAPI
// documents: their validators look at values and the compiler at names, which the API server would
// drop in silence.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import Ajv from 'ajv';
import addFormats from 'ajv-formats';
import { validate as lint } from 'dockerfile-utils';
import ts from 'typescript';

const require = createRequire(import.meta.url);
const root = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));

/** The Compose Specification's schema; an "id" of its first draft is of no use to anybody. */
function composeSchema() {
  const folder = path.dirname(require.resolve('dclint/package.json'));
  const text = fs.readFileSync(path.join(folder, 'schemas/compose.schema.json'), 'utf8');
  return JSON.parse(text, function keep(name, value) {
    if (name === '$schema' || (name === 'id' && typeof value === 'string')) return undefined;
    return value;
  });
}

function composeFaults(compose) {
  const ajv = new Ajv({ allErrors: true, strict: false, logger: false });
  addFormats(ajv);
  const validate = ajv.compile(composeSchema());
  if (validate(compose)) return [];
  return validate.errors.map(({ instancePath, message, params }) => {
    return `compose: ${instancePath} ${message} ${JSON.stringify(params)}`;
  });
}

const dockerfileFaults = (text) =>
  lint(text).map(({ message, range }) => `dockerfile:${range.start.line + 1}: ${message}`);

const moduleOf = ({ apiVersion }) => `kubernetes-models/${apiVersion}`;

function kubernetesFaults(things) {
  const faults = [];
  const lines = [];
  for (const thing of things) {
    const what = `${thing.kind} ${thing.metadata?.name}`;
    try {
      const { [thing.kind]: Model } = require(moduleOf(thing));
      new Model(thing).validate();
    } catch (error) {
      faults.push(`${what}: ${error.message.split('\n')[0]}`);
      continue;
    }
    const at = lines.length;
    lines.push(`import type { I${thing.kind} as I${at} } from '${moduleOf(thing)}';`);
    lines.push(`export const it${at}: I${at} = ${JSON.stringify(thing)};`);
  }
  return [...faults, ...typeFaults(lines)];
}

/** An object that is written out may not have members that its type does not know. */
function typeFaults(lines) {
  const file = path.join(root, 'manifests.ts'); // in memory only
  const options = {
    noEmit: true,
    strict: true,
    skipLibCheck: true,
    types: [],
    module: ts.ModuleKind.Node16,
    moduleResolution: ts.ModuleResolutionKind.Node16,
    target: ts.ScriptTarget.ES2020,
    lib: ['lib.es2020.d.ts'],
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile } = host;
  const text = lines.join('\n');
  host.fileExists = (name) => name === file || fileExists(name);
  host.readFile = (name) => (name === file ? text : readFile(name));
  host.getSourceFile = (name, ...more) =>
    name === file
      ? ts.createSourceFile(name, text, ts.ScriptTarget.ES2020, true)
      : getSourceFile(name, ...more);
  const program = ts.createProgram([file], options, host);
  return ts.getPreEmitDiagnostics(program).map(({ messageText }) => {
    return `kubernetes: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`;
  });
}

const asked = JSON.parse(fs.readFileSync(0, 'utf8'));
const faults = [
  ...(asked.dockerfile === undefined ? [] : dockerfileFaults(asked.dockerfile)),
  ...(asked.compose === undefined ? [] : composeFaults(asked.compose)),
  ...(asked.kubernetes === undefined ? [] : kubernetesFaults(asked.kubernetes)),
];
for (const fault of faults) console.log(fault);
