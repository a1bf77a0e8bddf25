// Text to man(7), the macros that every man knows. Pure.

export interface ManHead {
  /** As it is asked for: tandem.yaml. */
  readonly name: string;
  readonly section: string;
  /** One line, for whatis and apropos. */
  readonly about: string;
  readonly version: string;
  /** YYYY-MM-DD. */
  readonly date: string;
}

/** Title line and NAME. */
export function manHead({ name, section, about, version, date }: ManHead): string[] {
  return [
    `.\\" Made by scripts/build from Tandem's own sources: do not edit.`,
    `.TH ${argument(name.toUpperCase())} ${section} ${date} ${argument(`Tandem ${version}`)} ${argument('Tandem')}`,
    '.SH NAME',
    `${text(name)} \\- ${text(about)}`,
  ];
}

/** A whole page. A paragraph needs no request of its own right below a heading. */
export function manPage(lines: readonly string[]): string {
  const isHeading = (line: string | undefined) => /^\.S[HS] /.test(line ?? '');
  return `${lines.filter((line, at) => line !== '.PP' || !isHeading(lines[at - 1])).join('\n')}\n`;
}

export function heading(title: string): string {
  return `.SH ${argument(title.toUpperCase())}`;
}

export function subheading(title: string): string {
  return `.SS ${argument(title)}`;
}

export function paragraph(said: string): string[] {
  return ['.PP', inline(said)];
}

/** A term, and what it is, below it. */
export function tagged(term: string, ...said: readonly string[]): string[] {
  const [first = '', ...more] = said;
  return ['.TP', `\\fB${text(term)}\\fR`, inline(first), ...more.flatMap(one => ['.br', inline(one)])];
}

export function bullet(said: string): string[] {
  return ['.IP \\(bu 2', inline(said)];
}

/** Lines as they are. */
export function example(lines: readonly string[]): string[] {
  return ['.PP', '.nf', '.RS 4', ...lines.map(line => (line === '' ? '.sp' : text(line))), '.RE', '.fi'];
}

/** Other pages: "name(section)". */
export function seeAlso(...pages: readonly string[]): string[] {
  const named = pages.map(page => {
    const [, name = '', section = ''] = /^(.*)\((\d)\)$/.exec(page) ?? [];
    return [name, section] as const;
  });
  return [
    heading('See also'),
    ...named.map(([name, section], at) => `.BR ${text(name)} (${section})${at < named.length - 1 ? ',' : ''}`),
  ];
}

/** A sentence in the code's way of writing: `so` is bold, **this** too. */
function inline(said: string): string {
  const parts = said.split(/(`[^`]+`|\*\*[^*]+\*\*)/);
  const written = parts.map((part, at) =>
    at % 2 === 1 ? `\\fB${escaped(part.replace(/^[`*]+|[`*]+$/g, ''))}\\fR` : escaped(part),
  );
  return guarded(written.join(''));
}

function text(said: string): string {
  return guarded(escaped(said));
}

/** A minus is typed by people, so it must not become a hyphen. */
function escaped(said: string): string {
  return said.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll('\n', ' ');
}

/** A line that begins with a dot or an apostrophe would be a request. */
function guarded(line: string): string {
  return /^[.']/.test(line) ? `\\&${line}` : line;
}

function argument(said: string): string {
  return `"${escaped(said).replaceAll('"', '\\(dq')}"`;
}
