// SPDX-License-Identifier: MIT
// Inputs made from schemas: values that fit, values that are wrong in one way, drawn from a seed;
// and the schemas of a document as a judge of what came back.
import Ajv from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

const methods = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch'];

/** Numbers of a seed (mulberry32), and what is drawn with them. */
export class Draw {
  constructor(seed) {
    this.state = seed >>> 0;
  }

  number() {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  /** A whole number from `low` to `high`. */
  whole(low, high) {
    return low + Math.floor(this.number() * (high - low + 1));
  }

  of(list) {
    return list[this.whole(0, list.length - 1)];
  }

  chance(share) {
    return this.number() < share;
  }

  text(length, letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789') {
    const all = [...letters]; // by character: half of a pair is none
    return Array.from({ length }, () => this.of(all)).join('');
  }
}

/**
 * One listener's document: its operations, and its schemas as judges. `known` has values, by the
 * name of a member or parameter, that there is something behind: drawn more often than others.
 */
export class Contract {
  #ajv = new Ajv({ strict: false, allErrors: true });
  #judges = new Map();

  constructor(document, known = {}) {
    this.document = document;
    this.known = known;
    addFormats(this.#ajv);
    this.#ajv.addSchema({ $id: 'doc', ...strict(document) });
  }

  operations() {
    return Object.entries(this.document.paths).flatMap(([path, item]) =>
      methods.filter((method) => item[method]).map((method) => this.#operation(path, method)),
    );
  }

  #operation(path, method) {
    const row = this.document.paths[path][method];
    const security = row.security ?? [];
    return {
      ...row,
      path,
      method: method.toUpperCase(),
      name: `${method.toUpperCase()} ${path}`,
      parameters: (row.parameters ?? []).map((one) => this.follow(one)),
      isProtected: security.length > 0 && security.every((way) => Object.keys(way).length > 0),
      kinds: security.flatMap((way) => Object.keys(way)),
      scopes: security.flatMap((way) => way.oauth2 ?? []),
      certificate: security.some((way) => way.mutualTLS !== undefined),
    };
  }

  follow(value) {
    if (typeof value?.$ref !== 'string') return value;
    return value.$ref
      .split('/')
      .slice(1)
      .reduce((at, key) => at[key.replaceAll('~1', '/').replaceAll('~0', '~')], this.document);
  }

  /** What is wrong with a value, as text; '' when it fits. */
  judge(schema, value) {
    const key = JSON.stringify(schema);
    if (!this.#judges.has(key)) {
      const whole = JSON.parse(key.replaceAll('"$ref":"#/', '"$ref":"doc#/'));
      this.#judges.set(key, this.#ajv.compile(whole));
    }
    const valid = this.#judges.get(key);
    return valid(value) ? '' : this.#ajv.errorsText(valid.errors.slice(0, 5));
  }

  /** What is wrong with an answer to an operation, as text; '' when the document tells of it. */
  complaint(operation, reply) {
    const told = operation.responses[reply.status];
    const answer = this.follow(told ?? operation.responses.default);
    const type = (reply.headers['content-type'] ?? '').split(';')[0];
    const code = /^urn:portcullis:problem:(.*)$/.exec(reply.json?.type)?.[1];
    if (type === '' || reply.bytes.length === 0)
      return told === undefined ? 'a status that is not told' : '';
    const forms = Object.entries(answer.content ?? {});
    const form = forms.find(([name]) => name.split(';')[0] === type)?.[1];
    if (form === undefined) return `${type} is not told`;
    if (type === 'application/problem+json' && !Object.hasOwn(form.examples, code))
      return `${code} is not told`;
    return reply.json === undefined ? '' : this.judge(form.schema, reply.json);
  }

  // ---- inputs -----------------------------------------------------------------------------------

  /** A value for a member or parameter of that name. */
  named(draw, name, schema, depth = 0) {
    const known = this.known[name];
    return known && draw.chance(0.7) ? draw.of(known) : this.value(draw, schema, depth);
  }

  /** A value that fits a schema. */
  value(draw, schema, depth = 0) {
    const whole = this.follow(schema);
    const { type, examples } = whole;
    const kind = Array.isArray(type) ? draw.of(type) : type;
    if (whole.anyOf) return this.value(draw, draw.of(whole.anyOf), depth);
    if (whole.enum) return draw.of(whole.enum);
    if (examples && draw.chance(0.6)) return draw.of(examples);
    if (kind === 'object') return this.#object(draw, whole, depth);
    if (kind === 'array') return this.#array(draw, whole, depth);
    if (kind === undefined) return draw.of([true, 7, 'text', null, [1], { a: 1 }]);
    if (kind === 'null') return null;
    if (kind === 'boolean') return draw.chance(0.5);
    if (kind === 'integer' || kind === 'number') return number(draw, whole);
    return text(draw, whole);
  }

  #object(draw, schema, depth) {
    const result = {};
    for (const [name, inner] of Object.entries(schema.properties ?? {}))
      if (schema.required?.includes(name) || draw.chance(depth > 4 ? 0 : 0.5))
        result[name] = this.named(draw, name, inner, depth + 1);
    if (schema.properties === undefined && draw.chance(0.5)) result[draw.text(3)] = draw.text(5);
    return result;
  }

  #array(draw, schema, depth) {
    const least = schema.minItems ?? 0;
    const length = draw.whole(least, Math.min(schema.maxItems ?? 3, least + 2));
    return Array.from({ length }, () => this.value(draw, schema.items, depth + 1));
  }

  /** A body or parameter that does not fit its schema, in one place. */
  wrong(draw, schema) {
    for (let attempt = 0; attempt < 20; attempt++) {
      const value = this.#spoil(draw, schema, this.value(draw, schema));
      if (this.judge(schema, value) !== '') return value;
    }
    return undefined;
  }

  #spoil(draw, schema, value) {
    const { properties, required } = this.follow(schema);
    const names = Object.keys(properties ?? {});
    if (names.length === 0 || draw.chance(0.05)) return misfit(draw, this.follow(schema));
    const name = draw.of(names);
    const result = { ...value };
    if (required?.includes(name) && draw.chance(0.3)) delete result[name];
    else if (this.follow(properties[name]).properties && draw.chance(0.5))
      result[name] = this.#spoil(draw, properties[name], value[name] ?? {});
    else result[name] = misfit(draw, this.follow(properties[name]));
    return result;
  }
}

/** What answers are made of has nothing but what is told. */
function strict(document) {
  const result = structuredClone(document);
  const told = new Set();
  const look = (value) => {
    if (value === null || typeof value !== 'object') return;
    const name = /^#\/components\/(.*)$/.exec(value.$ref)?.[1];
    if (name !== undefined && !told.has(name)) {
      told.add(name);
      look(name.split('/').reduce((at, key) => at[key], result.components));
    }
    Object.values(value).forEach(look);
  };
  for (const item of Object.values(result.paths))
    for (const operation of Object.values(item)) look(operation.responses);
  for (const [name, schema] of Object.entries(result.components.schemas))
    if (told.has(`schemas/${name}`)) schema.additionalProperties ??= false;
  return result;
}

function number(draw, { type, minimum, maximum }) {
  const low = minimum ?? -1000;
  const high = Math.min(maximum ?? low + 1000, Number.MAX_SAFE_INTEGER);
  if (draw.chance(0.2)) return low;
  if (draw.chance(0.1)) return high;
  const whole = draw.whole(low, Math.min(high, low + 1000));
  return type !== 'integer' && draw.chance(0.3) && whole < high ? whole + 0.25 : whole;
}

const formats = {
  email: (draw) => `${draw.text(8).toLowerCase()}@example.com`,
  uuid: (draw) => `0192a3b4-c5d6-7e8f-9a0b-${draw.text(12, '0123456789abcdef')}`,
  uri: (draw) => `https://example.com/${draw.text(5)}`,
  'date-time': (draw) => `2026-0${draw.whole(1, 9)}-0${draw.whole(1, 9)}T04:05:06Z`,
};

function text(draw, { format, pattern, minLength = 0, maxLength = 40, type }) {
  if (formats[format]) return formats[format](draw);
  if (Array.isArray(type) && type.includes('number')) return `${draw.whole(0, 999)}.50`;
  const length = draw.whole(minLength, Math.min(maxLength, Math.max(minLength, 40)));
  if (pattern) return draw.text(Math.max(length, 1));
  return draw.text(length, 'abcXYZ 019-_.,:/ÄéÜ€😀"\'<>&%');
}

/** Values just beyond each bound of a schema. */
export function beyond(draw, schema) {
  const { minLength, maxLength, minimum, maximum, minItems, maxItems } = schema;
  const values = [];
  if (minLength > 0) values.push(draw.text(minLength - 1));
  if (maxLength < 20_000) values.push(draw.text(maxLength + 1));
  if (Number.isSafeInteger(minimum)) values.push(minimum - 1);
  if (maximum < Number.MAX_SAFE_INTEGER) values.push(maximum + 1);
  if (minItems > 0) values.push([]);
  if (maxItems < 20) values.push(Array(maxItems + 1).fill('x'));
  if (schema.enum) values.push(`${schema.enum[0]}x`);
  if (schema.format || schema.pattern) values.push('?', 'a@', '2026-02-30T04:05:06Z');
  return values;
}

/** Values that just keep each bound. */
export function within(draw, schema) {
  const { type, format, pattern, minLength = 0, maxLength, minimum, maximum } = schema;
  if (schema.enum) return schema.enum;
  if (type === 'integer') return [minimum, maximum].filter(Number.isSafeInteger);
  if (type !== 'string' || format !== undefined || pattern !== undefined) return [];
  return [minLength, maxLength].filter((one) => one < 20_000).map((one) => draw.text(one));
}

/** Just beyond a bound where there is one, else something that nobody meant. */
function misfit(draw, schema) {
  const sharp = beyond(draw, schema);
  if (sharp.length > 0 && draw.chance(0.6)) return draw.of(sharp);
  return draw.of([
    null,
    true,
    -1,
    1e300,
    0.5,
    '',
    'x',
    '\u0000',
    '4111 1111 1111 1111',
    '9223372036854775808',
    [],
    [[[]]],
    {},
    { a: { b: [1] } },
    '99999999999999999999999999.999999',
  ]);
}
