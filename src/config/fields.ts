// The kinds of field that the config is made of: what may be written in one, what it is in the
// code, and what its error says. Each field has its own words and bounds where it stands
// (schema.ts, check-schema.ts). Pure.
import { z } from 'zod';
import { type Address, type Cidr, parseAddress, parseCidr } from '../units/address.ts';
import { DURATION_SYNTAX, formatDuration, type Ms, ms, parseDuration } from '../units/duration.ts';
import { parseSchedule, type Schedule } from '../units/schedule.ts';
import { OWN_VARIABLES } from './variables.ts';

const NAME = /^[a-z0-9][a-z0-9-]{0,30}$/;

const SCHEDULE_SYNTAX = 'write a duration like 30s, or a cron expression like "0 30 3 * * *"';

/**
 * A duration field: text in the file, milliseconds in the code. `fallback` is shown as the default,
 * bounds in errors.
 */
export function duration(about: string, min: number, max: number, fallback: string) {
  return plainDuration(about, min, max, fallback).prefault(fallback);
}

/** A duration, or `off`, which is undefined in the code and the default. */
export function durationOrOff(about: string, min: number, max: number, example: string) {
  const range = `${formatDuration(ms(min))} to ${formatDuration(ms(max))}`;
  const syntax = `write off, or ${DURATION_SYNTAX}`;
  return z
    .string({ error: syntax })
    .meta({
      title: 'duration or `off`',
      description: `${about} (${range}, or off)`,
      pattern: '^(off|\\d+(\\.\\d+)?(ms|s|m|h|d))$',
      examples: ['off', example],
    })
    .transform((text, ctx): Ms | undefined => {
      if (text === 'off') return undefined;
      const value = parseDuration(text);
      if (value !== undefined && value >= min && value <= max) return value;
      const problem = value === undefined ? `"${text}" is not a duration` : `${text} is out of bounds`;
      ctx.addIssue({ code: 'custom', message: `${problem}; write off, or a duration of ${range}` });
      return z.NEVER;
    })
    .prefault('off');
}

/** The same without a default. */
export function plainDuration(about: string, min: number, max: number, example: string) {
  const range = `${formatDuration(ms(min))} to ${formatDuration(ms(max))}`;
  return z
    .string({ error: `write ${DURATION_SYNTAX}` })
    .meta({
      title: 'duration',
      description: `${about} (${range})`,
      pattern: '^\\d+(\\.\\d+)?(ms|s|m|h|d)$',
      examples: [example],
    })
    .transform((text, ctx): Ms => {
      const value = parseDuration(text);
      if (value === undefined) {
        ctx.addIssue({ code: 'custom', message: `"${text}" is not a duration; write ${DURATION_SYNTAX}` });
        return z.NEVER;
      }
      if (value < min || value > max) {
        ctx.addIssue({ code: 'custom', message: `${text} is out of bounds; write a duration of ${range}` });
        return z.NEVER;
      }
      return value;
    });
}

/**
 * A pause ("30s"), kept by the monotonic clock, or a cron expression, for whoever wants times of
 * the day.
 */
export function schedule(about: string, min: number, max: number, fallback: string) {
  const range = `${formatDuration(ms(min))} to ${formatDuration(ms(max))}`;
  return z
    .string({ error: SCHEDULE_SYNTAX })
    .meta({
      title: 'duration or cron expression',
      description: `${about} (${range}, or a cron expression)`,
      examples: [fallback, '0 30 3 * * *'],
    })
    .transform((text, ctx): Schedule => {
      const value = parseSchedule(text);
      if (value.type === 'every' && (value.everyMs < min || value.everyMs > max)) {
        ctx.addIssue({ code: 'custom', message: `${text} is out of bounds; write a duration of ${range}` });
        return z.NEVER;
      }
      return value;
    })
    .prefault(fallback);
}

export function integer(about: string, min: number, max: number) {
  const error = `write a whole number from ${min} to ${max}`;
  return z
    .int({ error })
    .min(min, { error })
    .max(max, { error })
    .meta({ description: `${about} (${min} to ${max})` });
}

export function name(about: string) {
  return z
    .string()
    .regex(NAME, { error: 'write lower-case letters, digits and dashes, at most 31 characters' })
    .meta({ description: about });
}

export const address = z
  .string({ error: 'write an IPv4 or IPv6 address' })
  .meta({ title: 'address', description: 'An IPv4 or IPv6 address, without a prefix length' })
  .transform((text, ctx): Address => {
    const value = parseAddress(text);
    if (value === undefined) {
      ctx.addIssue({
        code: 'custom',
        message: `"${text}" is not an address; write one like 192.0.2.100 or 2001:db8::100`,
      });
      return z.NEVER;
    }
    return value;
  });

export const cidr = z
  .string({ error: 'write an address with its prefix length' })
  .meta({ title: 'address/prefix', description: 'An address with the prefix length of its network' })
  .transform((text, ctx): Cidr => {
    const value = parseCidr(text);
    if (value === undefined) {
      ctx.addIssue({
        code: 'custom',
        message: `"${text}" is not an address with a prefix length; write one like 192.0.2.2/24`,
      });
      return z.NEVER;
    }
    return value;
  });

export const interfaceName = z
  .string()
  .regex(/^[^\s/:]{1,15}$/, { error: 'write the name of a network interface, at most 15 characters' })
  .meta({ title: 'interface', description: 'A network interface, as `ip link` names it' });

export const portRange = z
  .string({ error: 'write first-last, like 10000-20000' })
  .meta({ title: 'port range', description: 'An inclusive range of TCP ports', examples: ['10000-20000'] })
  .transform((text, ctx): { first: number; last: number } => {
    const match = /^(\d{1,5})-(\d{1,5})$/.exec(text);
    const [first, last] = [Number(match?.[1]), Number(match?.[2])];
    if (!match || first < 1024 || last > 65535 || first > last) {
      ctx.addIssue({ code: 'custom', message: `"${text}" is not a port range; write first-last within 1024-65535` });
      return z.NEVER;
    }
    return { first, last };
  });

/** One port, or a list of up to four; a list in the code. */
export function ports(about: string, error: string) {
  const one = z.int({ error }).min(1, { error }).max(65_535, { error });
  return z
    .union([one, z.array(one).min(1, { error }).max(4, { error })], { error })
    .meta({ title: 'port or list of ports', description: about })
    .transform(value => [...new Set([value].flat())]);
}

export interface PortRange {
  /** Both inclusive; the same for a single port. */
  readonly first: number;
  readonly last: number;
}

const PORTS_ERROR = 'write a port, a range like 8000-8100, or a list of up to 16';

export function readPortRange(value: number | string): PortRange | undefined {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(`${value}`);
  const [first, last] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])];
  return match && first >= 1 && first <= last && last <= 65_535 ? { first, last } : undefined;
}

/** Ascending; what overlaps or touches is one range. */
function inOrder(ranges: readonly PortRange[]): readonly PortRange[] {
  const joined: PortRange[] = [];
  for (const range of [...ranges].sort((a, b) => a.first - b.first)) {
    const before = joined.at(-1);
    if (before === undefined || range.first > before.last + 1) joined.push(range);
    else joined[joined.length - 1] = { first: before.first, last: Math.max(before.last, range.last) };
  }
  return joined;
}

/** A port, a range, or a list of both; ranges in the code. */
export function portList(about: string) {
  const one = z.union([z.int({ error: PORTS_ERROR }), z.string({ error: PORTS_ERROR })], { error: PORTS_ERROR });
  return z
    .union([one, z.array(one).min(1, { error: PORTS_ERROR }).max(16, { error: PORTS_ERROR })], { error: PORTS_ERROR })
    .meta({ title: 'port, range or list of them', description: about, examples: [443, '8000-8100', [80, 443]] })
    .transform((value, ctx): readonly PortRange[] => {
      const ranges = [value].flat().map(readPortRange);
      if (ranges.every(range => range !== undefined)) return inOrder(ranges);
      const wrong = [value].flat()[ranges.indexOf(undefined)];
      ctx.addIssue({ code: 'custom', message: `${JSON.stringify(wrong)} is no port or range; ${PORTS_ERROR}` });
      return z.NEVER;
    });
}

export function filePath(about: string) {
  return z
    .string()
    .min(1)
    .max(1_000)
    .regex(/^\/[^\0\r\n]*$/, { error: 'write a whole path, from / on' })
    .optional()
    .meta({ title: 'file', description: about });
}

export function shortText(about: string, max: number) {
  return z
    .string()
    .min(1)
    .max(max)
    .regex(/^[^\0\r\n]*$/, { error: 'write a text without line breaks' })
    .meta({ description: about });
}

/** A program with its arguments, called without a shell. */
export function script(about: string) {
  const error = 'write a list: the path of a program, then its arguments, at most 32';
  return z
    .array(
      z
        .string()
        .min(1)
        .max(1_000)
        .regex(/^[^\0]*$/, { error: 'write a text without zero bytes' }),
      { error },
    )
    .min(1, { error })
    .max(32, { error })
    .refine(([program = '']) => program.startsWith('/'), { error: 'write the whole path of the program, from / on' })
    .meta({
      title: 'program with arguments',
      description: about,
      examples: [['/etc/tandem/checks/uplink', '192.0.2.1']],
    });
}

export function environment(about: string) {
  return z
    .record(
      z.string().regex(new RegExp(`^(?!${OWN_VARIABLES})[A-Za-z_][A-Za-z0-9_]{0,63}$`), {
        error: `write a variable's name of letters, digits and _, at most 64, that does not begin with ${OWN_VARIABLES}`,
      }),
      z
        .string({ error: 'write a text, in quotes' })
        .max(1_000)
        .regex(/^[^\0]*$/, { error: 'write a text without zero bytes' }),
    )
    .refine(variables => Object.keys(variables).length <= 32, { error: 'write 32 variables at most' })
    .default({})
    .meta({
      description: `${about}. It has PATH, LC_ALL=C and what Tandem sets (TANDEM_…), and nothing else`,
    });
}

const HEX = /^(?:[0-9a-fA-F]{2} ?){1,1024}$/;
const HEX_ERROR = 'it is not hexadecimal; write pairs of digits, such as "0d 0a", at most 1024';

export function hex(about: string) {
  return z.string().regex(HEX, { error: HEX_ERROR }).optional().meta({ title: 'hexadecimal', description: about });
}

/** "host:port" in the file, both parts in the code. */
export const endpoint = z
  .string({ error: 'write host:port, like 203.0.113.9:26379' })
  .meta({ title: 'host:port', description: 'A host (name or address; IPv6 in brackets) and its port' })
  .transform((text, ctx): { host: string; port: number } => {
    const match = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([A-Za-z0-9._-]{1,253})):(\d{1,5})$/.exec(text);
    const host = match?.[1] ?? match?.[2];
    const port = Number(match?.[3]);
    if (host === undefined || port < 1 || port > 65535) {
      const message = `"${text.slice(0, 60)}" is not a host with its port; write one like 203.0.113.9:26379 or "[2001:db8::9]:26379"`;
      ctx.addIssue({ code: 'custom', message });
      return z.NEVER;
    }
    return { host, port };
  });
