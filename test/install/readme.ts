// What README has people do to install and to upgrade, as commands for a shell: the lab runs these
// and no others, so that README cannot say what does not work. Pure.

/** A release of Debian by number. */
export const DEBIANS = ['12', '13'] as const;
export type Debian = (typeof DEBIANS)[number];

/** The text of a section, from its heading (or bold word) to the next heading. */
function sectionOf(readme: string, heading: string): string {
  const start = readme.indexOf(heading);
  if (start < 0) throw new Error(`README has no "${heading}": the lab takes the commands from there`);
  const rest = readme.slice(start + heading.length);
  const end = rest.search(/^## /m);
  return end < 0 ? rest : rest.slice(0, end);
}

/**
 * The commands of "Install on two routers" for a release, in their order, without their comments.
 */
export function installCommands(readme: string, debian: Debian): string[] {
  const block = /^```sh\n([^`]*)^```$/m.exec(sectionOf(readme, '## Install on two routers'))?.[1];
  if (block === undefined) throw new Error('README, "Install on two routers": there is no ```sh block');
  return block
    .split('\n')
    .map(line => ({ line, only: /# Debian (\d+) only$/.exec(line)?.[1] }))
    .filter(({ only }) => only === undefined || only === debian)
    .map(({ line }) => line.replace(/\s+#.*$/, ''))
    .filter(line => line !== '');
}

export interface Upgrade {
  /** While the old version runs on. */
  readonly fetch: string;
  /** On the standby, puts the new version in the old one's place. */
  readonly restart: string;
  /** The same on the active router, which hands over first. */
  readonly handOver: string;
}

/** The commands of the paragraph "Upgrade", which are the first three in it. */
export function upgradeCommands(readme: string): Upgrade {
  const paragraph = sectionOf(readme, '**Upgrade**').split('\n\n')[0] as string;
  const [fetch, restart, handOver] = [...paragraph.matchAll(/`([^`]+)`/g)].map(match =>
    (match[1] as string).replaceAll('\n', ' '),
  );
  if (fetch === undefined || restart === undefined || handOver === undefined)
    throw new Error('README, "Upgrade": there are fewer than three commands');
  return { fetch, restart, handOver };
}

/** What takes it away again, the first command of the paragraph "Remove". */
export function removeCommand(readme: string): string {
  const command = /`([^`]+)`/.exec(sectionOf(readme, '**Remove**').split('\n\n')[0] as string)?.[1];
  if (command === undefined) throw new Error('README, "Remove": there is no command');
  return command;
}
