// Events of the runner, which runs the scripts of the config, and of what the director makes of
// them. Pure.
import type { EventEntry } from '../event.ts';

export const RUNNER_EVENTS = {
  RUNNER_STARTED: {
    severity: 'notice',
    says: 'tandem-runner runs: the director may have the scripts of the config run.',
    fields: { file: 'path of the config', socket: 'where it listens' },
  },
  RUNNER_STOPPED: {
    severity: 'notice',
    says: 'tandem-runner has stopped; scripts that ran were ended.',
    fields: { reason: 'the signal' },
  },
  RUNNER_CONFIG_REFUSED: {
    severity: 'err',
    says: 'tandem-runner cannot use the config; with one that it read before it goes on.',
    remedy: 'Do what `problem` says. The file must be readable by user tandem-runner; it holds no secret.',
    fields: { file: 'path of the config', problem: 'what is wrong with it' },
    endedBy: 'RUNNER_CONFIG',
    identity: [],
  },
  RUNNER_CONFIG: {
    severity: 'info',
    says: 'tandem-runner has read the config.',
    fields: { file: 'path of the config' },
    identity: [],
  },
  RUNNER_REFUSED: {
    severity: 'err',
    says: 'tandem-runner did not run a script: what it checks is not judged. Of a hook: its message waits or is lost.',
    remedy:
      'Do what `reason` says. A script and all directories on the way to it must belong to root and be writable by nobody else, and everybody must be able to run it.',
    fields: { check: 'name of the check, or `hook NAME`', reason: 'why not' },
    identity: ['check'],
  },
  RUNNER_KILLED: {
    severity: 'warning',
    says: 'tandem-runner ended a script that took longer than its time-out or said too much. It counts as failed.',
    remedy: 'See `output` for what it was at; give it more time, or a time-out of its own for what it waits for.',
    fields: { check: 'name of the check, or `hook NAME`', reason: 'why', output: 'the last of what it said' },
    identity: ['check'],
  },
  FITNESS_CHECK_FAILED: {
    severity: 'err',
    says: 'A fitness check failed as often in a row as its `fall` says: this router is less fit than one where it passes. The VIPs go to the peer if that is fitter; if it fails there, too, nothing moves.',
    remedy: 'Mend what the script checks; `problem` says what it said.',
    fields: {
      check: 'name of the check',
      from: 'state before: unknown or passing',
      checks: 'failed runs in a row',
      problem: 'how the script ended, and the first line of its output',
      output: 'the last of its output',
      tookMs: 'length of the last run, in ms',
    },
    endedBy: 'FITNESS_CHECK_PASSED',
    identity: ['check'],
  },
  FITNESS_CHECK_PASSED: {
    severity: 'notice',
    says: 'A fitness check passed as often in a row as its `rise` says, or was taken out of the config: it lowers the fitness no more.',
    fields: {
      check: 'name of the check',
      from: 'state before: unknown, passing or failing',
      checks: 'good runs in a row; 0: it is not in the config any more',
      tookMs: 'length of the last run, in ms',
    },
    identity: ['check'],
  },
  FITNESS_CHECK_UNKNOWN: {
    severity: 'err',
    says: 'A fitness check could not be made, as often in a row as its `fall` says: it is not judged and lowers nothing.',
    remedy:
      'Do what `reason` says; the scripts are run by tandem-runner (systemctl status tandem-runner.socket tandem-runner).',
    fields: { check: 'name of the check', from: 'state before: unknown, passing or failing', reason: 'why' },
    endedBy: 'FITNESS_CHECK_JUDGED',
    identity: ['check'],
  },
  FITNESS_CHECK_JUDGED: {
    severity: 'info',
    says: 'A fitness check that could not be made is made again, or was taken out of the config.',
    fields: { check: 'name of the check' },
    identity: ['check'],
  },
} as const satisfies Record<string, EventEntry>;
