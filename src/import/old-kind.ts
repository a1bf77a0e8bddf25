// The kinds of config that an import reads, by the names of their files. Pure.

export const OLD_KINDS = ['lvs.cf', 'keepalived.conf', 'ldirectord.cf'] as const;
export type OldKind = (typeof OLD_KINDS)[number];
