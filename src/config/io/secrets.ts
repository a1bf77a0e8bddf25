// Files that the config names and `tandem check` can look at: those of the store's Redis and of the
// witness', the authorities of checks over TLS, and those of hooks. Only warnings, since the file
// may be checked on another machine than the routers; the daemons themselves refuse a secret that
// others may read. Not pure: reads the files.
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { isCheckedByTls } from '../ftp-ports.ts';
import type { Finding, Path, Rule } from '../rules/finding.ts';
import { warning } from '../rules/finding.ts';
import type { Config, RedisConfig } from '../schema.ts';
import { KeyFileError, readSecret } from './key.ts';

const PUBLIC_FILE_BYTES_MAX = 1_048_576;
const IF_MISSING = 'make it with mode 0600, or correct the path';

/**
 * The rule that only the machine itself can check; docs/reference/CONFIG.md shows it with the
 * others.
 */
export const SECRET_FILES: Rule = {
  says: 'Warning: files of a `redis` section that are missing or open to others, and a `check.tls_ca_file` or `send_file` that is missing, the latter also if it is open to others; the same of the files of a `webhook` (`tandem check` looks at those of its own machine).',
  check: secretFindings,
};

/** What is wrong with them, as warnings. */
export function secretFindings(config: Config): Finding[] {
  const { redis, type } = config.sync.store;
  const files = [
    ...(redis && type === 'redis' ? redisFiles(redis, ['sync', 'store', 'redis']) : []),
    ...(config.witness ? redisFiles(config.witness.redis, ['witness', 'redis']) : []),
    ...authorityFiles(config),
    ...sentFiles(config),
    ...webhookFiles(config),
  ];
  return files.flatMap(({ path, file, secret }) => {
    try {
      if (secret) readSecret(file, IF_MISSING);
      else readPublic(file);
      return [];
    } catch (error) {
      if (!(error instanceof KeyFileError)) throw error;
      return [warning(path, `on this machine, ${file}: ${error.problem}`, error.remedy)];
    }
  });
}

interface NamedFile {
  readonly path: Path;
  readonly file: string;
  readonly secret: boolean;
}

/** Of services whose checks look at a certificate. */
function authorityFiles({ services }: Config): NamedFile[] {
  return Object.entries(services).flatMap(([name, service]) => {
    const { check } = service;
    if (!('tls_ca_file' in check) || check.tls_ca_file === undefined) return [];
    if (service.kind === 'ftp' && !isCheckedByTls(service)) return [];
    return [{ path: ['services', name, 'check', 'tls_ca_file'], file: check.tls_ca_file, secret: false }];
  });
}

/** What checks send. */
function sentFiles({ services }: Config): NamedFile[] {
  return Object.entries(services).flatMap(([name, { check }]) => {
    if (!('send_file' in check) || check.send_file === undefined) return [];
    return [{ path: ['services', name, 'check', 'send_file'], file: check.send_file, secret: true }];
  });
}

function webhookFiles({ hooks }: Config): NamedFile[] {
  return Object.entries(hooks).flatMap(([name, { webhook }]) =>
    (['url_file', 'header_file', 'ca_file'] as const).flatMap(field => {
      const file = webhook?.[field];
      return file === undefined ? [] : [{ path: ['hooks', name, 'webhook', field], file, secret: field !== 'ca_file' }];
    }),
  );
}

function redisFiles({ password_file, sentinel_password_file, tls }: RedisConfig, at: Path): NamedFile[] {
  const named: (readonly [path: Path, file: string | undefined, secret: boolean])[] = [
    [[...at, 'password_file'], password_file, true],
    [[...at, 'sentinel_password_file'], sentinel_password_file, true],
  ];
  if (tls) {
    named.push([[...at, 'tls', 'ca_file'], tls.ca_file, false], [[...at, 'tls', 'cert_file'], tls.cert_file, false]);
    named.push([[...at, 'tls', 'key_file'], tls.key_file, true]);
  }
  return named.flatMap(([path, file, secret]) => (file === undefined ? [] : [{ path, file, secret }]));
}

/**
 * The text of a file that is no secret, such as a certificate; at most 1 MiB. Throws KeyFileError.
 */
export function readPublic(file: string): string {
  let fd: number | undefined;
  try {
    // Non-blocking, so that a pipe in the place of the file cannot hang a daemon.
    fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!fstatSync(fd).isFile()) {
      throw new KeyFileError('it is not a regular file', { file, code: 'not-a-file', remedy: 'name a regular file' });
    }
    const buffer = Buffer.alloc(PUBLIC_FILE_BYTES_MAX + 1);
    const length = readSync(fd, buffer, 0, buffer.length, 0);
    if (length > PUBLIC_FILE_BYTES_MAX) {
      const problem = `it is larger than ${PUBLIC_FILE_BYTES_MAX} bytes`;
      throw new KeyFileError(problem, { file, code: 'content', remedy: 'is it the right file?' });
    }
    return buffer.toString('utf8', 0, length);
  } catch (error) {
    if (error instanceof KeyFileError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    const missing = code === 'ENOENT';
    const problem = missing ? 'there is no such file' : `it cannot be read: ${message}`;
    const remedy = missing ? 'correct the path' : code === 'EACCES' ? 'run as root' : 'see the path';
    throw new KeyFileError(problem, { file, code: missing ? 'missing' : 'unreadable', remedy, cause: error });
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
