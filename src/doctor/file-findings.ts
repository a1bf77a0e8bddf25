// The files of a router: config, key, secrets. Pure.
import type { HostFacts } from './host-facts.ts';
import { type HostFinding, unseen, wellFound } from './host-finding.ts';

export function fileFindings({ files, isRoot }: HostFacts): HostFinding[] {
  const { file, errors, warnings, denied, key } = files;
  if (denied) return [unseen('config', file, errors[0] ?? 'not readable', isRoot)];
  const said = [
    ...errors.map(line => spoken('config', 'problem', line, `tandem check ${file}`)),
    ...warnings.map(line => spoken('config', 'warning', line, `tandem check ${file}`)),
  ];
  const found = said.length > 0 ? said : [wellFound('config', 'the config is without mistakes')];
  return [...found, ...ownerFindings(files, isRoot), ...keyFindings(key, isRoot)];
}

function ownerFindings({ file, writable }: HostFacts['files'], isRoot: boolean): HostFinding[] {
  if (!writable.ok) return [unseen('config-mode', `the mode of ${file}`, writable.problem, isRoot)];
  if (!writable.value) return [];
  const sentence = `${file} can be written by others than root, and root's daemons do what it says`;
  return [{ id: 'config-mode', severity: 'problem', sentence, fix: `chown root ${file} && chmod go-w ${file}` }];
}

function keyFindings(key: HostFacts['files']['key'], isRoot: boolean): HostFinding[] {
  if (key === 'unknown') return [];
  if (key === 'well') return [wellFound('key', "the pair's key is root's alone")];
  if (key.denied) return [unseen('key', key.file, key.problem, isRoot)];
  const { sentence, fix } = withCommand(`${key.file}: ${key.problem}; ${key.remedy}`);
  return [{ id: 'key', severity: 'problem', sentence, fix }];
}

function spoken(id: string, severity: 'problem' | 'warning', line: string, otherwise: string): HostFinding {
  const { sentence, fix } = withCommand(line);
  return { id, severity, sentence, fix: fix ?? otherwise };
}

/** Messages end with what to do: "…; run: chmod 0600 FILE", "…: tandem keygen". */
export function withCommand(text: string): { readonly sentence: string; readonly fix: string | null } {
  const said = /^(.*?); (?:run|look at|make one with): ([^;]+)$/s.exec(text);
  if (said) return { sentence: said[1] as string, fix: said[2] as string };
  const quoted = /`([a-z][^`]* [^`]+)`/.exec(text);
  return { sentence: text, fix: quoted?.[1] ?? null };
}
