// The names in the run and state directories by which the daemons and the command line find each
// other. Pure.

export const RUN_DIR = '/run/tandem';
export const STATE_DIR = '/var/lib/tandem';

/** In the run directory. */
export const FEED_SOCKET = 'pulse.sock';
/** The same for root alone: readers of the group cannot take its places. */
export const FEED_ROOT_SOCKET = 'pulse-root.sock';
export const CONTROL_SOCKET = 'pulse-control.sock';
export const STATUS_SOCKET = 'status.sock';
export const DIRECTOR_CONTROL_SOCKET = 'director-control.sock';

/** In the state directory: what pulse remembers. */
export const STATE_FILE = 'pulse.json';
