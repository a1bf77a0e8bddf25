// Environment variables of scripts. Pure.

/** Those that Tandem sets begin so; the config may not set such. */
export const OWN_VARIABLES = 'TANDEM_';
