// Events of the config side: what the daemons say when they read the config and the key. Pure.
import type { EventEntry } from '../event.ts';

export const CONFIG_EVENTS = {
  CONFIG_LOADED: {
    severity: 'info',
    says: 'The config was read and is in use.',
    fields: { file: 'path of the config', digest: 'first 8 bytes of its SHA-256, hex', warnings: 'number of warnings' },
  },
  CONFIG_WARNING: {
    severity: 'warning',
    says: 'The config works but holds something that is probably not meant.',
    remedy: 'Run `tandem check FILE` and follow what it says.',
    fields: {
      file: 'path of the config',
      line: 'line, from 1',
      column: 'column, from 1',
      path: 'field, with dots',
      problem: 'what is wrong',
      remedy: 'what to write instead',
    },
  },
  CONFIG_REFUSED: {
    severity: 'err',
    says: 'The config has mistakes and is not used; a running daemon keeps the config it has.',
    remedy: 'Run `tandem check FILE`: it lists every mistake with its place and what to write instead.',
    fields: {
      file: 'path of the config',
      mistakes: 'number of mistakes',
      first: 'the first of them, as file:line:column: what is wrong; what to write',
    },
    endedBy: 'CONFIG_LOADED',
  },
  CONFIG_RELOADED: {
    severity: 'notice',
    says: 'The director has read its config again, uses it, and has brought the kernel after it.',
    fields: {
      by: 'who asked: SIGHUP, tandem reload, or the other router (tandem reload --pair there)',
      before: 'digest of the config before',
      digest: 'digest of the config now',
      changes: 'number of fields, services and servers that are other ones',
      rulesIn: 'whether the kernel has all of it',
    },
  },
  PAIR_RELOAD: {
    severity: 'notice',
    says: 'Somebody asked here for a reload of both routers as one (tandem reload --pair): both have done it, or neither.',
    fields: {
      peer: 'the other router',
      digest: 'digest of the config that was meant; empty: of none',
      reloaded: 'whether both use it now',
      problem: 'why not; empty when both do',
    },
  },
  PAIR_RELOAD_HALF: {
    severity: 'warning',
    says: 'A reload of both routers as one was begun here and did not go through on both.',
    remedy: 'Do what `problem` says; `tandem status` says whether the configs differ.',
    fields: {
      peer: 'the other router',
      digest: 'digest of the config that was meant, or of the one in use here',
      there: 'what the other router has done: reloaded, untouched, unknown',
      problem: 'which router did what, and what to do',
    },
  },
  PAIR_RELOAD_ASKED: {
    severity: 'notice',
    says: 'The other router has asked this one to look at its config file, or to take it (tandem reload --pair there).',
    fields: {
      peer: 'the other router',
      step: 'check: to look at it; apply: to take it',
      digest: 'digest of the config that is meant; empty: whatever the file says',
      ok: 'whether it can be taken, or was',
      problem: 'why not; empty when there is no reason',
    },
  },
  KEYS_CHANGED: {
    severity: 'notice',
    says: 'pulse has read the key file again and uses its keys, each named by 8 digits (`tandem rotate-key` shows them).',
    fields: { signs: 'the key that signs', accepts: 'all that are accepted' },
  },
  KEYS_REFUSED: {
    severity: 'err',
    says: 'pulse has read the key file again and stays with the keys that it has.',
    remedy: 'Do what `problem` says. `tandem rotate-key` shows what both routers use, and the next step.',
    fields: { file: 'path of the key file', problem: 'why not' },
    endedBy: 'KEYS_CHANGED',
  },
  CONFIG_WAITS: {
    severity: 'notice',
    says: 'A reload of pulse has found changes that it takes only at its start; the rest is in use or on its way.',
    remedy: 'At leisure: `systemctl restart tandem-pulse`, the standby first, then `tandem handover`.',
    fields: { parts: 'what has changed in the config and waits' },
  },
  KEY_REFUSED: {
    severity: 'crit',
    says: "The pair's key file cannot be used, so no heartbeat can be signed.",
    remedy: 'Do what the field `remedy` says, then start tandem-pulse again.',
    fields: { file: 'path of the key file', problem: 'what is wrong with it', remedy: 'the command that mends it' },
  },
} as const satisfies Record<string, EventEntry>;
