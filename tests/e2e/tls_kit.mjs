// SPDX-License-Identifier: MIT
// Authorities and certificates for the tests of TLS, made by OpenSSL's own command: with names and
// times as a test wants them, revoked and listed as such.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { temporaryFolder } from './harness.mjs';

const stamp = (ms) => `${new Date(ms).toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`;
const day = 86_400_000;

/** An authority in a folder of its own. */
export class Authority {
  constructor(name = 'Test CA') {
    this.folder = temporaryFolder();
    fs.writeFileSync(this.file('index.txt'), '');
    fs.writeFileSync(this.file('serial'), '01\n');
    fs.writeFileSync(this.file('crlnumber'), '01\n');
    fs.writeFileSync(
      this.file('ca.cnf'),
      `[ca]
default_ca = own
[own]
database = ${this.file('index.txt')}
new_certs_dir = ${this.folder}
serial = ${this.file('serial')}
crlnumber = ${this.file('crlnumber')}
certificate = ${this.file('ca.crt')}
private_key = ${this.file('ca.key')}
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
`,
    );
    this.#openssl(
      'req',
      '-x509',
      ...this.#key('ca'),
      '-days',
      '2',
      '-subj',
      `/CN=${name}`,
      '-addext',
      'keyUsage=critical,keyCertSign,cRLSign',
      '-out',
      this.file('ca.crt'),
    );
  }

  file(name) {
    return path.join(this.folder, name);
  }

  pem(name) {
    return fs.readFileSync(this.file(name));
  }

  get ca() {
    return this.pem('ca.crt');
  }

  #openssl(...args) {
    return execFileSync('openssl', args, { stdio: 'pipe' });
  }

  #key(name) {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    return [...key, '-keyout', this.file(`${name}.key`)];
  }

  /**
   * `name`.crt and `name`.key: { cert, key }. `names` is a subjectAltName; `until` is when it ends,
   * in days from now; `use` is serverAuth or clientAuth.
   */
  issue(name, { names, until = 1, use = 'serverAuth', cn = name } = {}) {
    const now = Date.now();
    const extensions = [`extendedKeyUsage=${use}`];
    if (names) extensions.push(`subjectAltName=${names}`);
    fs.writeFileSync(this.file('extensions'), extensions.join('\n'));
    const csr = this.file(`${name}.csr`);
    this.#openssl('req', '-new', ...this.#key(name), '-subj', `/CN=${cn}`, '-out', csr);
    fs.chmodSync(this.file(`${name}.key`), 0o600);
    this.#openssl(
      'ca',
      '-batch',
      '-notext',
      '-config',
      this.file('ca.cnf'),
      '-in',
      csr,
      '-out',
      this.file(`${name}.crt`),
      '-startdate',
      stamp(now - 3 * day),
      '-enddate',
      stamp(now + until * day),
      '-extfile',
      this.file('extensions'),
    );
    return { cert: this.pem(`${name}.crt`), key: this.pem(`${name}.key`) };
  }

  revoke(name) {
    this.#openssl('ca', '-config', this.file('ca.cnf'), '-revoke', this.file(`${name}.crt`));
  }

  /** Writes the list of what is revoked, good until so many seconds from now. */
  list(name = 'ca.crl', seconds = 3600) {
    const now = Date.now();
    this.#openssl(
      'ca',
      '-gencrl',
      '-config',
      this.file('ca.cnf'),
      '-crl_lastupdate',
      stamp(now - day),
      '-crl_nextupdate',
      stamp(now + seconds * 1000),
      '-out',
      this.file(name),
    );
    return this.file(name);
  }
}
