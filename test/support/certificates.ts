/** Certificates for tests of TLS, made by openssl in a directory of their own. Nothing outside a test trusts them. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Paths of PEM files. */
export interface Certificate {
  cert: string;
  key: string;
}

export interface Authority extends Certificate {
  /** A certificate signed by it. `days` below zero: it has expired. */
  sign(name: string, options?: { names?: string; days?: number }): Certificate;
}

/** Who this machine is, for a server's certificate. */
const THIS_MACHINE = 'DNS:localhost,IP:127.0.0.1';

export class Certificates {
  readonly dir = mkdtempSync(join(tmpdir(), 'hobbler-tls-'));

  authority(name: string): Authority {
    const own = { cert: join(this.dir, `${name}.pem`), key: join(this.dir, `${name}.key`) };
    this.#openssl('req', '-x509', ...NEW_KEY, own.key, '-out', own.cert, '-subj', `/CN=${name}`, '-days', '2');
    return { ...own, sign: (label, options) => this.#sign(own, `${name}-${label}`, options) };
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }

  #sign(authority: Certificate, label: string, { names = THIS_MACHINE, days = 2 } = {}): Certificate {
    const [cert, key, request, extensions] = ['pem', 'key', 'csr', 'ext'].map((end) =>
      join(this.dir, `${label}.${end}`),
    );
    this.#openssl('req', ...NEW_KEY, key!, '-out', request!, '-subj', `/CN=${label}`);
    writeFileSync(extensions!, `subjectAltName=${names}\n`);
    const by = ['-CA', authority.cert, '-CAkey', authority.key, '-CAcreateserial', '-extfile', extensions!];
    this.#openssl('x509', '-req', '-in', request!, ...by, '-days', String(days), '-out', cert!);
    return { cert: cert!, key: key! };
  }

  #openssl(...args: string[]): void {
    execFileSync('openssl', args, { stdio: 'pipe' });
  }
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout'];
