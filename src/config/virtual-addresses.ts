// How many VIPs and gateways a pair can have. Pure.

/**
 * What vipd can hold: VIP_MAX in src/vip/native/base/tables.h, the bits of a 64-bit mask, of which
 * heartbeats carry the number (test/vip/protocol.test.ts compares the two).
 */
export const VIRTUAL_ADDRESSES_MAX = 64;
