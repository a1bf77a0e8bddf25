// The files that checks need: a password, the certificates of authorities, what is sent. Not pure:
// small files, read anew so often that a change needs no reload, and so seldom that many servers
// cost no more than one.
import type { Buffer } from 'node:buffer';
import type { ServiceConfig } from '../../config/schema.ts';
import { type At, between } from '../../units/duration.ts';
import { ANONYMOUS_PASSWORD } from '../check-plan.ts';
import { readPassword, readRootOnly } from './password.ts';
import { readAuthorities } from './tls-client.ts';

/** What was read is used again for this long. */
const FRESH_MS = 250;

/** What they hold. */
export interface CheckFiles {
  readonly password: string;
  /** Certificates, PEM. */
  readonly ca: string | undefined;
  readonly sent: Buffer | undefined;
}

/** For a check that needs none. */
export const NO_FILES: CheckFiles = { password: ANONYMOUS_PASSWORD, ca: undefined, sent: undefined };

interface FileNames {
  readonly password?: string | undefined;
  readonly ca?: string | undefined;
  readonly sent?: string | undefined;
}

export function checkFilesOf({ check }: Pick<ServiceConfig, 'check'>): FileNames {
  if (!('type' in check)) return { password: check.password_file, ca: check.tls_ca_file };
  switch (check.type) {
    case 'connect':
    case 'datagram':
    case 'icmp':
      return {};
    case 'banner':
    case 'http':
    case 'tls':
      return { ca: check.tls_ca_file };
    case 'send_expect':
      return { ca: check.tls_ca_file, sent: check.send_file };
  }
}

interface CheckFilesReader {
  /** Rejects with an Error that says what to do. */
  read(names: FileNames): Promise<CheckFiles>;
  /** Forgets files that nobody has asked for lately. */
  sweep(): void;
}

export function createCheckFiles(now: () => At): CheckFilesReader {
  const passwords = freshly(now, readPassword);
  const authorities = freshly(now, async path => readAuthorities(path));
  const sent = freshly(now, path => readRootOnly(path, { name: 'check.send_file', holds: 'what is to be sent' }));
  return {
    read: async names => ({
      password: names.password === undefined ? ANONYMOUS_PASSWORD : await passwords.read(names.password),
      ca: names.ca === undefined ? undefined : await authorities.read(names.ca),
      sent: names.sent === undefined ? undefined : await sent.read(names.sent),
    }),
    sweep: () => {
      for (const files of [passwords, authorities, sent]) files.sweep();
    },
  };
}

/** `read`, but not again for the same path while what it gave is fresh. */
function freshly<T>(now: () => At, read: (path: string) => Promise<T>) {
  const known = new Map<string, { readonly at: At; readonly value: Promise<T> }>();
  const isFresh = ({ at }: { readonly at: At }) => between(at, now()) < FRESH_MS;
  return {
    read: (path: string): Promise<T> => {
      const before = known.get(path);
      if (before && isFresh(before)) return before.value;
      const value = read(path);
      known.set(path, { at: now(), value });
      return value;
    },
    sweep: () => {
      for (const [path, entry] of known) if (!isFresh(entry)) known.delete(path);
    },
  };
}
