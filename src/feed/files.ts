// The names in the run and state directories by which the daemons and the command line find each
// other, and what they need to know before they read a message. Pure.

export const RUN_DIR = '/run/tandem';
export const STATE_DIR = '/var/lib/tandem';

/** Where systemd listens for the runner (systemd/tandem-runner.socket). */
export const RUNNER_SOCKET = '/run/tandem-runner/runner.sock';

/** Longest line on pulse's sockets, in bytes. */
export const LINE_BYTES_MAX = 65_536;

/** In the run directory. */
export const FEED_SOCKET = 'pulse.sock';
/** The same for root alone: readers of the group cannot take its places. */
export const FEED_ROOT_SOCKET = 'pulse-root.sock';
/** For root alone: what went into pulse's machine in the last minute (journal-line.ts). */
export const JOURNAL_SOCKET = 'pulse-journal.sock';
export const CONTROL_SOCKET = 'pulse-control.sock';
export const STATUS_SOCKET = 'status.sock';
export const DIRECTOR_CONTROL_SOCKET = 'director-control.sock';

/**
 * In the run directory: what hooks still have to send. A reboot ends what that is about.
 */
export const HOOKS_FILE = 'director-hooks.json';

/** In the state directory: what pulse remembers. */
export const STATE_FILE = 'pulse.json';
/** In the state directory: every decision, the newer half and the older one. */
export const HISTORY_FILES = { newer: 'history.jsonl', older: 'history.1.jsonl' } as const;
/** In the state directory: the journals that the director has kept. */
export const JOURNAL_DIRECTORY = 'journal';
