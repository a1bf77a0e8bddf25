// The section `hooks`: what is done when something happens, on which events. Pure.
import { z } from 'zod';
import { SEVERITIES } from '../log/event.ts';
import { EVENT_PATTERN } from './event-pattern.ts';
import { duration, environment, filePath, integer, name, script } from './fields.ts';
import { urlProblem } from './web-url.ts';

/** Each has a queue of its own. */
const HOOKS_MAX = 20;
const PATTERNS_MAX = 64;
const PATTERN_LENGTH_MAX = 200;
const PATTERN_SYNTAX =
  'write a code like SERVER_DOWN, one with * like SERVER_*, or one with fields like "ROLE_CHANGED to=active"';

const eventPattern = z
  .string({ error: PATTERN_SYNTAX })
  .max(PATTERN_LENGTH_MAX)
  .regex(EVENT_PATTERN, { error: ({ input }) => `${JSON.stringify(input)} names no event; ${PATTERN_SYNTAX}` })
  .meta({
    title: 'events',
    description: 'A code of docs/reference/EVENTS.md; * stands for any part of it; fields that it must have follow',
    examples: ['SERVER_DOWN', 'SERVER_*', 'ROLE_CHANGED to=active'],
  });

const eventPatterns = (about: string) =>
  z.array(eventPattern).max(PATTERNS_MAX).default([]).meta({ description: about });

const webhook = z
  .strictObject({
    url: z
      .string({ error: 'write an address like https://alerts.example/tandem' })
      .max(2_000)
      .superRefine((text, ctx) => {
        const problem = urlProblem(text);
        if (problem !== undefined) ctx.addIssue({ code: 'custom', message: problem });
      })
      .optional()
      .meta({
        title: 'http or https address',
        description: 'Where to; one that is a secret belongs into url_file',
        examples: ['https://alerts.example/tandem'],
      }),
    url_file: filePath('Instead of url: a root-only file (mode 0600) with the address'),
    header_file: filePath(
      'A root-only file (mode 0600) with headers for it, each on a line, such as "Authorization: Bearer …"; at most 8',
    ),
    ca_file: filePath(
      "Certificates of further authorities that may sign the server's, readable by everybody; besides those that Node.js knows",
    ),
  })
  .meta({
    description:
      'A page that the event is sent to by POST, as JSON; any answer from 200 to 299 is good, and none is followed',
  });

const MAIL_ADDRESS_SYNTAX = 'write a mail address like oncall@example.net, or a local name like root';

/** Without quotes, comments and lists: nothing in it can mean anything to a mailer. */
const mailAddress = z
  .string({ error: MAIL_ADDRESS_SYNTAX })
  .max(254)
  .regex(/^[A-Za-z0-9_][A-Za-z0-9._+=-]{0,63}(?:@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)?$/, {
    error: ({ input }) => `${JSON.stringify(input)} is no mail address; ${MAIL_ADDRESS_SYNTAX}`,
  });

const mail = z
  .strictObject({
    to: z
      .array(mailAddress.meta({ title: 'mail address', description: 'Who gets it' }), {
        error: 'write a list of mail addresses',
      })
      .min(1, { error: 'name one to sixteen' })
      .max(16, { error: 'name one to sixteen' })
      .meta({ description: 'Who gets it, one mail for all' }),
    from: mailAddress.optional().meta({
      title: 'mail address',
      description: 'Sender in the header; absent: what the mailer makes of tandem-runner',
    }),
    sendmail: z
      .string()
      .min(1)
      .max(1_000)
      .regex(/^\/[^\0\r\n]*$/, { error: 'write a whole path, from / on' })
      .default('/usr/sbin/sendmail')
      .meta({
        title: 'file',
        description: 'The mailer, which is run as `sendmail -i -t`, without any right of another user',
      }),
  })
  .meta({ description: "A mail by the system's sendmail" });

const hook = z
  .strictObject({
    events: eventPatterns('These events, whatever their severity'),
    severity: z.enum(SEVERITIES).optional().meta({
      description: 'All events of this severity or a worse one, besides `events`; absent: those of `events` only',
    }),
    except: eventPatterns('None of these, whatever else is said'),
    ends: z
      .boolean()
      .default(true)
      .meta({ description: 'Also the events that end the condition of one that is wanted (SERVER_UP of SERVER_DOWN)' }),
    once_per_pair: z.boolean().default(true).meta({
      description:
        'Of what both routers notice (real servers, drains, a config that differs) one sends: the owner of the VIPs, or the other one if it does not hear in 30 s that the owner has. Of a change of roles only the outcome is told, by the router that becomes active. false: each router sends all that it logs',
    }),
    command: script(
      'A program with its arguments, run by tandem-runner without any right and without a shell: the event is on its standard input as one line of JSON. Exit status 0: taken; anything else is tried again. It and the directories on the way to it must belong to root and be writable by nobody else',
    ).optional(),
    webhook: webhook.optional(),
    mail: mail.optional(),
    environment: environment('Further environment variables of the program'),
    timeout: duration('Longest time of one try', 100, 120_000, '10s'),
    retries: integer('Further tries after one that failed, before the message is given up', 0, 20).default(5),
    retry_after: duration(
      'Pause before the first further try; each later one is twice as long, 5 minutes at most',
      100,
      300_000,
      '1s',
    ),
    queue: integer('Messages that may wait; of more the oldest goes', 1, 1_000).default(100),
  })
  .meta({ description: 'What is done on which events' });

export const hooks = z
  .record(name('A hook'), hook)
  .refine(all => Object.keys(all).length <= HOOKS_MAX, { error: `name ${HOOKS_MAX} hooks at most` })
  .default({})
  .meta({
    description:
      'What is done when something happens, by name, on both routers. Messages of a hook go out one after the other, in the order of the events; one that fails is tried again',
  });
export type HookConfig = z.output<typeof hook>;
