// One piece of what a real server must have: lines for a file, or commands. Types and text. Pure.

export interface Section {
  readonly kind: 'daemon' | 'commands' | 'sysctl' | 'networkd' | 'nftables';
  /** Where the lines go; null: they are commands. */
  readonly file: string | null;
  /** What they do and how they are put in, a short sentence or two. */
  readonly about: string;
  readonly lines: readonly string[];
}

/** The sections as people read and copy them; each file's lines may be pasted with their heads. */
export function sectionsText(sections: readonly Section[]): string {
  return sections
    .map(({ file, about, lines }) => [`# ${file ?? 'Commands'}: ${about}`, ...lines, ''].join('\n'))
    .join('\n');
}
