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
