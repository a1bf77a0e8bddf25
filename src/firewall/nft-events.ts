// Which of the lines that `nft monitor` prints are about our tables. Pure. What others do with
// theirs is no business of the director's here, however much of it there is. Source: nft(8)
// MONITOR; the lines as printed by nft 1.0.6.
import { GATE_FAMILY, GATE_TABLE } from './packet-lease-rules.ts';
import { TABLE_FAMILY, TABLE_NAME } from './table-name.ts';

const OURS = [`${TABLE_FAMILY} ${TABLE_NAME}`, `${GATE_FAMILY} ${GATE_TABLE}`];
/**
 * "delete rule inet tandem marks handle 7", "add table inet tandem". Elements come and go by
 * themselves.
 */
const CHANGE = /^(?:add|create|insert|replace|delete|destroy|flush) (?!element )[a-z]+ ([a-z0-9]+ \S+)/;

type NftEvent = 'ours' | 'lost' | 'other';

export function nftEventOf(line: string): NftEvent {
  // netlink's buffer ran over, or nft could not read from it.
  if (line.startsWith('# ERROR')) return 'lost';
  const table = CHANGE.exec(line)?.[1];
  return table !== undefined && OURS.includes(table) ? 'ours' : 'other';
}
