// `tandem init`: a first config, from options or from a person's answers. It is written only when
// `tandem check` is content with it, and over no other file without being told to.
import { existsSync, writeFileSync } from 'node:fs';
import { parseConfig } from '../config/document.ts';
import { type Answers, firstConfig, QUESTIONS, type Question } from '../config/first-config.ts';
import { mistakeLine } from '../config/mistakes.ts';
import { CliError, EXIT, type ExitCode } from './exit.ts';
import type { Asker } from './io/ask.ts';
import type { Terminal } from './io/terminal.ts';

interface InitArguments {
  readonly force?: boolean;
  /** By the questions' names. */
  readonly answers: Answers;
}

/** Writes the config to `file` ("-": stdout), and says what comes next on stderr. */
export async function init(
  terminal: Terminal,
  file: string,
  given: InitArguments,
  asker: Asker | undefined,
): Promise<ExitCode> {
  if (file !== '-' && given.force !== true && existsSync(file)) throw isThere(file);
  const text = firstConfig(await complete(terminal, given.answers, asker));
  const parsed = parseConfig(text);
  const mistakes = parsed.ok ? parsed.warnings : parsed.mistakes;
  for (const mistake of mistakes) terminal.err(`${mistakeLine(file, mistake)}\n`);
  if (!parsed.ok) {
    terminal.err('tandem: nothing is written; begin again with other answers\n');
    return EXIT.no;
  }
  if (file === '-') terminal.out(text);
  else write(file, text, given.force === true);
  terminal.err(nextSteps(file));
  return EXIT.ok;
}

/** All answers: those given, those asked for, and what is taken without one. */
async function complete(terminal: Terminal, given: Answers, asker: Asker | undefined): Promise<Answers> {
  const answers: Record<string, string> = {};
  const missing: Question[] = [];
  for (const question of QUESTIONS) {
    const said = given[question.name];
    if (question.isAsked?.(answers) === false) {
      if (said !== undefined)
        throw new CliError(`--${question.name} has no meaning with --forwarding ${answers.forwarding}: leave it out`, {
          exitCode: EXIT.usage,
        });
      continue;
    }
    const problem = said === undefined ? undefined : question.problem(said);
    if (problem !== undefined) {
      const message = `--${question.name}: ${problem}; write one like ${question.example}`;
      throw new CliError(message, { exitCode: EXIT.usage });
    }
    const answer = said ?? (asker === undefined ? question.fallback : await ask(terminal, question, asker));
    if (answer === undefined) missing.push(question);
    else answers[question.name] = answer;
  }
  if (missing.length === 0) return answers;
  const options = missing.map(({ name, example }) => `--${name} ${example}`).join(' ');
  throw new CliError(`nobody is there to ask, and these are missing, with values of yours: ${options}`, {
    exitCode: EXIT.usage,
  });
}

async function ask(
  terminal: Terminal,
  { ask: text, example, fallback, problem }: Question,
  asker: Asker,
): Promise<string> {
  const hint = fallback ? `[${fallback}]` : `(like ${example})`;
  for (;;) {
    const line = await asker.ask(`${text} ${hint}: `);
    if (line === undefined) throw new CliError('the input ended: nothing is written', { exitCode: EXIT.no });
    if (line === '' && fallback !== undefined) return fallback;
    const wrong = line === '' ? 'an answer is needed' : problem(line);
    if (wrong === undefined) return line;
    terminal.err(`${wrong}; write one like ${example}\n`);
  }
}

function write(file: string, text: string, force: boolean): void {
  try {
    writeFileSync(file, text, { flag: force ? 'w' : 'wx', mode: 0o644 });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw isThere(file, error);
    throw new CliError(`${file} cannot be written: ${message}`, { exitCode: EXIT.no, cause: error });
  }
}

function isThere(file: string, cause?: unknown): CliError {
  return new CliError(`${file} is there already; --force replaces it, - prints instead`, { exitCode: EXIT.no, cause });
}

function nextSteps(file: string): string {
  const written = file === '-' ? 'the config is above' : `wrote ${file}`;
  return `tandem: ${written}. Next:
  1. tandem keygen, on this router; copy the key and the config to the other one
  2. tandem server-config ftp --for vsftpd (or proftpd, pure-ftpd): what the FTP servers must have
  3. systemctl enable --now tandem-director tandem-pulse, the standby-to-be first
`;
}
