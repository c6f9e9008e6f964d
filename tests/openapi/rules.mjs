// SPDX-License-Identifier: MIT
// What the two linters are asked: all that they recommend, and more; each rule that is left out
// says why. A warning counts like an error.
import fs from 'node:fs';

import { createConfig, lint } from '@redocly/openapi-core';
import spectralCore from '@stoplight/spectral-core';
import spectralParsers from '@stoplight/spectral-parsers';
import spectralRulesets from '@stoplight/spectral-rulesets';

const redoclyRules = {
  extends: ['recommended'],
  rules: {
    // The contract has /transactions/accounts/{account_id} beside /transactions/{id}/reversals: ids
    // are numbers, and the router takes a literal part before a parameter.
    'no-ambiguous-paths': 'off',
    'no-invalid-media-type-examples': 'error',
    'no-invalid-parameter-examples': 'error',
    'no-invalid-schema-examples': 'error',
    'operation-4xx-problem-details-rfc7807': 'off', // OAuth has a form of its own (RFC 6749, 5.2)
    'operation-operationId': 'error',
    'parameter-description': 'error',
    'path-declaration-must-exist': 'error',
    'tags-alphabetical': 'off', // they stand in the order of the tables
  },
};
const spectralRules = {
  extends: [[spectralRulesets.oas, 'all']],
  rules: {
    'license-url': 'off', // OpenAPI 3.1 has an SPDX identifier in its place
    'contact-properties': 'off', // a project has no one address
    'openapi-tags-alphabetical': 'off', // they stand in the order of the tables
    'tag-description': 'off', // the operations' own say more
  },
};

const redoclyConfig = await createConfig(redoclyRules);
const linter = new spectralCore.Spectral();
linter.setRuleset(spectralRules);

/** What Redocly says of a file, a line each. */
export async function redocly(file) {
  const problems = await lint({ ref: file, config: redoclyConfig });
  return problems.map((one) => `${one.ruleId}: ${one.message} (${one.location[0]?.pointer})`);
}

/** What Spectral says of a file, a line each. */
export async function spectral(file) {
  const text = fs.readFileSync(file, 'utf8');
  const document = new spectralCore.Document(text, spectralParsers.Yaml, file);
  const problems = await linter.run(document);
  return problems.map((one) => `${one.code}: ${one.message} (${one.path.join('/')})`);
}
