// The name of our nftables table. Pure.

/** Our table, `inet tandem`; no other is ever touched. */
export const TABLE_FAMILY = 'inet';
export const TABLE_NAME = 'tandem';
