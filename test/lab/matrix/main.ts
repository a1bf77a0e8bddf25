// scripts/ftp-matrix: runs the groups of the FTP matrix, a machine of the lab for each, and reports.
// Io; runs on the host. A group's record is kept as soon as it is there, so that an interrupted run
// goes on where it was.
import { spawnSync } from 'node:child_process';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { runMachine } from '../machine/run-machine.ts';
import { allGroups, type Group, groupName } from './cells.ts';
import type { GroupRecord } from './record.ts';
import { isComplete, latestOf, type Matrix, matrixOf, notRunWords, pageOf } from './report.ts';

/** The checkout: this file is compiled to dist/test/lab/matrix/. */
const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
/** On the lab's clock. */
const GROUP_S = 900;

class UsageError extends Error {}

interface Options {
  readonly groups: readonly Group[];
  readonly json: string | undefined;
  readonly report: string | undefined;
  /** The commits whose records are reported without running anything; none: run. */
  readonly from: readonly string[];
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      json: { type: 'string' },
      report: { type: 'string' },
      from: { type: 'string' },
    },
  });
  const parts = values.only?.split(',') ?? [''];
  const names = allGroups().map(groupName);
  const from = values.from?.split(',') ?? [];
  const unknown = from.find(commit => !/^[0-9a-f]{4,40}(-dirty)?$/.test(commit));
  if (unknown !== undefined)
    throw new UsageError(`--from ${unknown}: write commits whose records are in .lab/ftp-matrix, with commas`);
  const strange = parts.find(part => !names.some(name => name.includes(part)));
  if (strange !== undefined)
    throw new UsageError(`--only ${strange}: no group has that in its name; they are ${names.join(', ')}`);
  const groups = allGroups().filter(group => parts.some(part => groupName(group).includes(part)));
  return { groups, json: values.json, report: values.report, from };
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

function tell(file: string, args: readonly string[]): string {
  const { stdout, status } = spawnSync(file, args, {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== 0) throw new Error(`${[file, ...args].join(' ')} ended with ${status}`);
  return stdout.trim();
}

/** Where the records of a commit are kept: they belong to the code that made them. */
function placeOf(commit: string): string {
  return path.join(ROOT, '.lab', 'ftp-matrix', commit);
}

async function keptAt(place: string): Promise<GroupRecord | undefined> {
  const text = await readFile(path.join(place, 'results.json'), 'utf8').catch(() => undefined);
  const record = text === undefined ? undefined : (JSON.parse(text) as GroupRecord);
  return record?.error === undefined ? record : undefined;
}

/** Runs one group, or takes what is kept of it. */
async function runGroup(group: Group, place: string, curl: string): Promise<GroupRecord> {
  const name = groupName(group);
  const before = await keptAt(place);
  if (before) return before;
  const part = `${place}.part`;
  await rm(part, { recursive: true, force: true });
  await mkdir(part, { recursive: true });
  const results = path.join(part, 'results.json');
  const command = ['dist/test/lab/matrix/group.js', name, curl];
  const done = await runMachine({ command, timeoutS: GROUP_S, results, say: line => say(`${name} ${line}`) });
  if ('error' in done) return { group, versions: {}, cells: [], virtualMs: 0, error: done.error };
  await rm(place, { recursive: true, force: true });
  await rename(part, place);
  return JSON.parse(done.text) as GroupRecord;
}

/** Everything that is kept of this commit, also of groups that were not asked for now. */
async function allKept(directory: string): Promise<GroupRecord[]> {
  const names = await readdir(directory).catch(() => []);
  const known = new Set(allGroups().map(groupName));
  const records = await Promise.all(
    names.filter(name => known.has(name)).map(name => keptAt(path.join(directory, name))),
  );
  return records.filter(record => record !== undefined);
}

function summary(matrix: Matrix): string {
  const { cells, wrong } = matrix;
  const count = (kind: string): number => cells.filter(({ outcome }) => outcome.kind === kind).length;
  const lines = [
    `${cells.length} cells ran: ${count('survives')} survive, ${count('limit')} are impossible for their client or server, ${count('lost')} are lost, ${count('fails')} fail`,
    ...wrong.map(sentence => `WRONG: ${sentence}`),
    ...notRunWords(matrix),
  ];
  return lines.join('\n');
}

/** What is kept of all these commits. */
async function keptFrom(commits: readonly string[]): Promise<Matrix> {
  const records = await Promise.all(commits.map(commit => allKept(placeOf(commit))));
  return matrixOf(commits.join(', '), latestOf(records.flat()));
}

/** Runs what is wanted and not kept yet. */
async function runAll(groups: readonly Group[]): Promise<Matrix> {
  const commit = tell('git', ['describe', '--always', '--dirty', '--exclude', '*']);
  const directory = placeOf(commit);
  const curl = tell('test/lab/fetch-curl', []);
  const failed: GroupRecord[] = [];
  for (const [index, group] of groups.entries()) {
    const name = groupName(group);
    say(`ftp-matrix: [${index + 1}/${groups.length}] ${name}`);
    const record = await runGroup(group, path.join(directory, name), curl);
    if (record.error !== undefined) failed.push(record);
  }
  return matrixOf(commit, [...(await allKept(directory)), ...failed]);
}

async function main(): Promise<number> {
  const { groups, json, report, from } = readOptions();
  const matrix = from.length === 0 ? await runAll(groups) : await keptFrom(from);
  if (json !== undefined) await writeFile(json, `${JSON.stringify(matrix, null, 2)}\n`);
  if (report !== undefined) await writeFile(report, pageOf(matrix));
  process.stdout.write(`${summary(matrix)}\n`);
  return isComplete(matrix) ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (error instanceof UsageError || (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS')) {
    say(`ftp-matrix: ${(error as Error).message}; see --help`);
    process.exitCode = 64;
  } else throw error;
}
