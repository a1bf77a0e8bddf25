// Which lines of our rule set come and go with the next one, for people: the table is replaced as a
// whole, but hardly ever differs as a whole. Pure.

/** More lines say no more to anybody. */
const LINES_MAX = 60;

/**
 * Lines of `after` that are not in `before` (+), and the other way round (-), without their
 * indentation, in the order of the text. `before` undefined: there is nothing to compare with.
 */
export function ruleChanges(before: string | undefined, after: string): string[] {
  if (before === undefined) return [];
  const [was, is] = [linesOf(before), linesOf(after)];
  const changes = [...without(was, is).map(line => `- ${line}`), ...without(is, was).map(line => `+ ${line}`)];
  const rest = changes.length - LINES_MAX;
  return rest > 0 ? [...changes.slice(0, LINES_MAX), `and ${rest} lines more`] : changes;
}

function linesOf(text: string): string[] {
  return text
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '' && line !== '}');
}

/** Lines of `these` that are not among `others`, each as often as it is there more often. */
function without(these: readonly string[], others: readonly string[]): string[] {
  const left = new Map<string, number>();
  for (const line of others) left.set(line, (left.get(line) ?? 0) + 1);
  return these.filter(line => {
    const count = left.get(line) ?? 0;
    left.set(line, count - 1);
    return count <= 0;
  });
}
