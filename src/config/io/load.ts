// Reads a config file from disk: bounded, UTF-8 only, never throwing for what is in the file or for
// its absence.

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { configDigest } from '../digest.ts';
import { type MoreRules, parseConfig } from '../document.ts';
import type { Mistake } from '../mistakes.ts';
import { nodeView } from '../node.ts';
import type { Config } from '../schema.ts';

/** Largest config file that is read, in bytes. */
export const CONFIG_BYTES_MAX = 1_048_576;

export type LoadedConfig =
  | {
      readonly ok: true;
      readonly config: Config;
      /** See configDigest. */
      readonly digest: string;
      readonly warnings: readonly Mistake[];
    }
  | {
      readonly ok: false;
      /** Errors and warnings in the order of the file; at least one error. */
      readonly mistakes: readonly Mistake[];
      /** The errno code (ENOENT, EACCES…) when the file could not be read at all. */
      readonly unreadable?: string;
    };

/**
 * The config in `file`, or every mistake in it. Synchronous: 1 MiB at most, at start and reload
 * only. Never throws. `more` adds rules, such as those of secrets.ts.
 */
export function loadConfig(file: string, more?: MoreRules): LoadedConfig {
  const read = readBounded(file);
  if (!read.ok) {
    const { problem, remedy, unreadable } = read;
    const mistake: Mistake = { severity: 'error', line: 1, column: 1, path: '', problem, remedy };
    return { ok: false, mistakes: [mistake], ...(unreadable === undefined ? {} : { unreadable }) };
  }
  const parsed = parseConfig(read.text, more);
  return parsed.ok ? { ...parsed, digest: configDigest(parsed.config) } : parsed;
}

/**
 * The errors that keep a loaded config from being used on router `node`, each as file:line:column:
 * what is wrong; what to write.
 */
export function mistakesOn(loaded: LoadedConfig, file: string, node: string): string[] {
  if (!loaded.ok) {
    return loaded.mistakes
      .filter(mistake => mistake.severity === 'error')
      .map(({ line, column, path, problem, remedy }) => `${file}:${line}:${column}: ${path}: ${problem}; ${remedy}`);
  }
  // The rules of the file hold for both routers; this one must be one of them.
  try {
    nodeView(loaded.config, node);
    return [];
  } catch (error) {
    return [`${file}:1:1: ${error instanceof Error ? error.message : String(error)}`];
  }
}

type Read =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly problem: string; readonly remedy: string; readonly unreadable?: string };

function readBounded(file: string): Read {
  let bytes: Buffer;
  try {
    // Non-blocking, so that a pipe in the place of the file cannot hang a daemon.
    const fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      if (!fstatSync(fd).isFile())
        return { ok: false, problem: 'this is not a regular file', remedy: 'name a YAML file' };
      bytes = readUpTo(fd, CONFIG_BYTES_MAX + 1);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    return cannotRead(error as NodeJS.ErrnoException);
  }
  if (bytes.length > CONFIG_BYTES_MAX) {
    return { ok: false, problem: `the file is larger than ${CONFIG_BYTES_MAX} bytes`, remedy: 'is it the right file?' };
  }
  try {
    return { ok: true, text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch {
    return { ok: false, problem: 'the file is not UTF-8 text', remedy: 'save it as UTF-8' };
  }
}

function readUpTo(fd: number, limit: number): Buffer {
  const buffer = Buffer.alloc(limit);
  let length = 0;
  while (length < limit) {
    const count = readSync(fd, buffer, length, limit - length, null);
    if (count === 0) break;
    length += count;
  }
  return buffer.subarray(0, length);
}

function cannotRead(error: NodeJS.ErrnoException): Read {
  const unreadable = error.code ?? 'unknown';
  const problem = `the file cannot be read: ${error.message}`;
  if (unreadable === 'ENOENT')
    return { ok: false, unreadable, problem, remedy: 'name the file, or start from conf/tandem.yaml' };
  const remedy = unreadable === 'EACCES' ? 'run as root, or let your user read it' : 'see the path';
  return { ok: false, unreadable, problem, remedy };
}
