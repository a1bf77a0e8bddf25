// Events of hooks, which do what the config says when something happens. None of them ever comes to
// a hook. Pure.
import type { EventEntry } from '../event.ts';

export const HOOK_EVENTS = {
  HOOK_RETRIED: {
    severity: 'info',
    says: 'A message of a hook did not get through; it is tried again.',
    fields: {
      hook: 'name of the hook',
      event: 'code of the event that the message is about',
      tries: 'tries so far',
      problem: 'how the last one ended',
      pauseMs: 'ms until the next one',
    },
    identity: ['hook'],
  },
  HOOK_FAILED: {
    severity: 'err',
    says: 'A message of a hook was given up after all its tries: it is lost. The next one is tried all the same.',
    remedy:
      'Do what `problem` says, then try it: tandem hooks test NAME. Programs are run by tandem-runner (systemctl status tandem-runner.socket tandem-runner).',
    fields: {
      hook: 'name of the hook',
      event: 'code of the event that the message is about',
      tries: 'tries that were made',
      problem: 'how the last one ended',
    },
    endedBy: 'HOOK_WORKS',
    identity: ['hook'],
  },
  HOOK_WORKS: {
    severity: 'notice',
    says: 'A hook whose messages were lost works again, or was taken out of the config.',
    fields: { hook: 'name of the hook' },
    identity: ['hook'],
  },
  HOOK_DROPPED: {
    severity: 'warning',
    says: 'More messages of a hook waited than its `queue` lets: the oldest was dropped.',
    remedy: 'See what keeps it (tandem hooks); give it fewer events, a larger `queue`, or a receiver that is quicker.',
    fields: { hook: 'name of the hook', event: 'code of the event that the lost message was about' },
    identity: ['hook'],
  },
  HOOK_EVENTS_MISSED: {
    severity: 'warning',
    says: 'pulse had more events than it keeps for the director: hooks were not told of some. They are in the log of tandem-pulse.',
    fields: { events: 'how many' },
    identity: [],
  },
  HOOK_TEST: {
    severity: 'info',
    says: 'A test of a hook, asked for by a person: nothing has happened.',
    fields: { hook: 'name of the hook', outcome: 'what became of it; empty in the message itself' },
    identity: ['hook'],
  },
} as const satisfies Record<string, EventEntry>;
