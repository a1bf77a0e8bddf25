// A terminal's session as a picture that plays: each line comes when it came, waits are cut short.
// Pure.

export interface RecordedLine {
  /** Seconds since the command was started. */
  readonly atS: number;
  readonly text: string;
}

const COLUMNS = 104;
const WIDTH_PX = 7.83;
const LINE_PX = 18;
const EDGE_PX = 14;
/** Longer waits are shown so long; the lines say how long they were. */
const WAIT_S_MAX = 1.5;

const STYLE = `text { font: 13px monospace; fill: #d8dee9; white-space: pre; animation: shown step-end }
  @keyframes shown { from { opacity: 0 } to { opacity: 1 } }
  @media (prefers-reduced-motion: reduce) { text { animation: none } }`;

/** SVG text; a viewer that plays nothing shows all of it. */
export function recording(command: string, lines: readonly RecordedLine[]): string {
  let [shownS, before] = [0.5, 0];
  const rows = [{ shownS: 0, text: `# ${command}` }];
  for (const { atS, text } of lines) {
    shownS += Math.min(atS - before, WAIT_S_MAX);
    before = atS;
    for (const part of wrapped(text)) rows.push({ shownS, text: part });
  }
  const [width, height] = [Math.ceil(COLUMNS * WIDTH_PX) + 2 * EDGE_PX, rows.length * LINE_PX + 2 * EDGE_PX];
  const texts = rows.map(
    ({ shownS: at, text }, index) =>
      `<text x="${EDGE_PX}" y="${EDGE_PX + 13 + index * LINE_PX}" style="animation-duration: ${at.toFixed(2)}s">${escaped(text)}</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
<title>${escaped(command)}</title>
<style>${STYLE}</style>
<rect width="${width}" height="${height}" rx="6" fill="#1e2430"/>
${texts.join('\n')}
</svg>
`;
}

/** Broken at blanks, what goes on is indented. */
function wrapped(text: string): string[] {
  const rows: string[] = [];
  let rest = text;
  while (rest.length > COLUMNS) {
    const blank = rest.lastIndexOf(' ', COLUMNS);
    const end = blank > COLUMNS / 2 ? blank : COLUMNS;
    rows.push(rest.slice(0, end));
    rest = `          ${rest.slice(end).trimStart()}`;
  }
  return [...rows, rest];
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
