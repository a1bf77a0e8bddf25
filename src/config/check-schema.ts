// How real servers are checked: the fields of `check`, for FTP and for each type of check of other
// services. Part of the config's schema (schema.ts). Pure.
import { z } from 'zod';
import { formatDuration, ms } from '../units/duration.ts';
import { FTP_TIMED, PLAIN_TIMED, type Timed, type TimeLimits } from './check-stages.ts';
import {
  duration,
  environment,
  filePath,
  hex,
  integer,
  type PortRange,
  plainDuration,
  readPortRange,
  script,
  shortText,
} from './fields.ts';

/**
 * Longer than the 5 s after which a resolver asks the next name server: a greeting may wait for
 * that.
 */
export const STAGE_TIMEOUT_DEFAULT = ms(6_000);

/** A limit of the whole check, or of its stages by name; by name in the code. */
function timeLimits(about: string, timed: readonly Timed[], examples: readonly [whole: string, stage: string]) {
  const [example, stage] = examples;
  const [min, max] = [10, 120_000];
  const limit = plainDuration('The longest time', min, max, example);
  const range = `${formatDuration(ms(min))} to ${formatDuration(ms(max))}`;
  return z
    .union([limit, z.partialRecord(z.enum(timed), limit)])
    .meta({
      title: 'duration, or one for each stage',
      description: `${about}. One time is for the whole check of a port; a map has one for stages by name (${timed.join(', ')}). Absent: no limit (${range})`,
      examples: [example, { whole: example, [stage]: '500ms' }],
    })
    .transform((value): TimeLimits => (typeof value === 'number' ? { whole: value } : value))
    .prefault({});
}

/** When a server is checked, whatever its kind. */
const checkPauses = {
  interval: duration('Time between two checks of a server', 500, 600_000, '5s'),
  interval_down: plainDuration(
    'Time between two checks of a server that is down or misconfigured: longer spares a broken server, shorter has it back sooner; absent: interval',
    500,
    600_000,
    '15s',
  ).optional(),
  interval_changing: plainDuration(
    'Time between two checks while rise or fall are being counted: after the first failed check of a server that is up, and after the first good one of a server that is not; absent: interval, or interval_down',
    500,
    600_000,
    '1s',
  ).optional(),
  script: script(
    'A program with its arguments that is run after the check has passed, and has its say on the server: run by tandem-runner, as a fitness check is, for as long as timeout. Exit status 0: the server is well; any other: it fails at stage script; one that could not be run says nothing',
  ).optional(),
  script_environment: environment('Further environment variables of it'),
  manual_resume: z.boolean().default(false).meta({
    description:
      'A server that was up and went down stays away, however well its check is afterwards, until `tandem enable SERVER`: both routers remember it. For databases, and for storage that comes and goes. Its sessions have ipvs.drain to finish, unless it is dead',
  }),
};

const SLOW_WARN = 'A server whose checks pass but take longer is reported';
const SLOW_FAIL = 'A check that takes longer fails, although it has passed';

/** What a check over TLS demands of the server's certificate. */
const certificateFields = {
  tls_verify: z.enum(['chain', 'none']).optional().meta({
    description:
      "What of the server's certificate is checked. chain: that a known authority has signed it and that it is valid now, and its name, if tls_name has one; none: nothing, as `curl --insecure` does. Absent: chain with tls_name or tls_ca_file, else none, since many real servers have certificates that they signed themselves. In any case its end is watched",
  }),
  tls_name: shortText(
    'Name that the certificate must have, sent to the server as well (SNI); absent: the name is not checked, since servers are checked by their addresses',
    253,
  ).optional(),
  tls_ca_file: filePath(
    "Certificates (PEM) of the authorities that may sign the server's, or its own if it is self-signed; absent: the authorities that Node.js knows",
  ),
  tls_expiry_warn: duration('A certificate with less time left is reported', 3_600_000, 31_536_000_000, '14d'),
};

/** What the text or file that is fetched must be. */
function contentFields(what: string) {
  return {
    size: integer(`Bytes that ${what} must have`, 1, 16_777_216).optional(),
    sha256: z
      .string()
      .regex(/^[0-9a-fA-F]{64}$/, { error: 'write 64 hexadecimal digits, as `sha256sum` prints them' })
      .optional()
      .meta({ title: 'SHA-256', description: `SHA-256 that ${what} must have, in hexadecimal digits` }),
    content: shortText(`A text that ${what} must hold within its first max_bytes`, 255).optional(),
  };
}

export const ftpCheck = z
  .strictObject({
    ...checkPauses,
    timeout: duration(
      'Longest time for a whole check of one control port; a server that is down is given as long for its greeting, to tell a slow one from a hung one: more than a name server that is gone costs it (10s for each that it asks)',
      200,
      120_000,
      '30s',
    ),
    deadline: plainDuration(
      'Longest time for a whole check of a server, all of its control ports together: what is not done by then has failed; absent: timeout for each port',
      200,
      600_000,
      '45s',
    ).optional(),
    stage_timeout: duration(
      'Longest time for one stage of it (connect, login, transfer…); more than the 5s after which a resolver asks the next name server',
      100,
      60_000,
      formatDuration(STAGE_TIMEOUT_DEFAULT),
    ),
    slow_warn: timeLimits(SLOW_WARN, FTP_TIMED, ['2s', 'login']),
    slow_fail: timeLimits(SLOW_FAIL, FTP_TIMED, ['10s', 'login']),
    rise: integer('Good checks in a row before a server is used', 1, 20).default(2),
    fall: integer('Failed checks in a row before a server gets no new clients', 1, 20).default(3),
    until: z.enum(['connect', 'greeting', 'login', 'transfer']).default('transfer').meta({
      description:
        'Where the check ends well: the connection is taken; 220 is read; the user is logged in; or a listing or a file has come. Less than transfer sees less of what clients need',
    }),
    port: integer(
      'Only this control_port of the service is checked; absent: each of them, one after the other, and a server is up when all are',
      1,
      65_535,
    ).optional(),
    tls: z.enum(['none', 'explicit', 'implicit']).default('none').meta({
      description:
        'How a check is encrypted, data too, and what `tandem server-config` prints. explicit: by AUTH TLS after the greeting; implicit: from the first byte; none: not at all, which servers refuse that demand it. Control port 990 is implicit whatever this says',
    }),
    ...certificateFields,
    user: z
      .string()
      .min(1)
      .max(64)
      .regex(/^[^\r\n]*$/, { error: 'write a name without line breaks' })
      .default('anonymous')
      .meta({ description: 'FTP user of the check' }),
    password_file: z
      .string()
      .min(1)
      .optional()
      .meta({ description: 'Root-only file with the password; anonymous needs none' }),
    banner: shortText('A text that the greeting must hold', 200).optional(),
    directory: shortText('Directory that the check enters (CWD) before it transfers anything', 255).optional(),
    data: z.enum(['pasv', 'epsv', 'active']).default('pasv').meta({
      description:
        'How the data connection is opened (pasv is epsv where VIP or server are IPv6). active: the server connects to this router, from active_port (20 for control port 21), which its firewall must let in',
    }),
    fetch: shortText('File to fetch; without it the directory is listed', 255).optional(),
    ...contentFields('the fetched file'),
    upload: z
      .string()
      .regex(/^[A-Za-z0-9._/-]{1,100}$/, { error: 'write letters, digits and . _ - /, at most 100 characters' })
      .optional()
      .meta({
        description:
          'A small probe file is stored and deleted after the transfer. This is how its name begins; the names of router, service and server follow, so that each router deletes its own only, also one that it left in a crash',
      }),
    max_bytes: integer('Bytes read of the data connection before the check is content', 1, 16_777_216).default(65_536),
  })
  .meta({ description: 'How a nanny checks the real servers, as an FTP client would' });

/** What the checks of services that are not FTP have in common. */
const plainPace = {
  ...checkPauses,
  timeout: duration('Longest time for a whole check', 100, 120_000, '5s'),
  slow_warn: timeLimits(SLOW_WARN, PLAIN_TIMED, ['1s', 'connect']),
  slow_fail: timeLimits(SLOW_FAIL, PLAIN_TIMED, ['3s', 'connect']),
  rise: integer('Good checks in a row before a server is used', 1, 20).default(2),
  fall: integer('Failed checks in a row before a server gets no new clients', 1, 20).default(3),
};

const checkedPort = {
  port: integer(
    'The port of the server that is checked; absent: the first of those that clients come to. With http and send_expect it may be one that has no clients, such as that of a health page',
    1,
    65_535,
  ).optional(),
};

const plainTls = {
  tls: z.enum(['none', 'implicit']).default('none').meta({
    description:
      'How the check is encrypted. implicit: from the first byte, as HTTPS, IMAPS and SMTPS are; none: not at all',
  }),
  ...certificateFields,
};

const answerBytes = {
  max_bytes: integer('Bytes in which the expected text must come', 1, 16_777_216).default(65_536),
};

const ABOUT_PLAIN = 'How a nanny checks the real servers of a service that is not FTP';

const connectCheck = z
  .strictObject({
    type: z.literal('connect').default('connect').meta({
      description:
        'How a server is checked. connect: it takes a TCP connection. banner: it speaks first (SSH, SMTP, IMAP). send_expect: what is sent is answered. http: a request is answered, with TLS or without. tls: its certificate. icmp: its host answers an echo. The fields of each are below',
    }),
    ...plainPace,
    ...checkedPort,
  })
  .meta({ description: ABOUT_PLAIN });

const bannerCheck = z
  .strictObject({
    type: z.literal('banner').meta({ description: 'The server speaks first' }),
    ...plainPace,
    ...checkedPort,
    expect: shortText('A text that what it says must hold, such as SSH-2.0-; absent: any byte will do', 200).optional(),
    ...answerBytes,
    ...plainTls,
  })
  .meta({ description: ABOUT_PLAIN });

const sendExpectCheck = z
  .strictObject({
    type: z.literal('send_expect').meta({
      description: 'What is sent is answered: over TCP, in a service of kind udp over UDP (one datagram each way)',
    }),
    ...plainPace,
    ...checkedPort,
    banner: shortText('Over TCP: a text that the server says first, before anything is sent', 200).optional(),
    send: z
      .string()
      .min(1, { error: 'it is empty; write what is sent' })
      .max(1_024, { error: 'it is too long; write at most 1024 characters' })
      .optional()
      .meta({ description: 'The text that is sent; in double quotes with line ends as \\r\\n. It is never logged' }),
    send_hex: hex('The bytes that are sent, instead'),
    send_file: filePath('Root-only file (mode 0600) with the bytes that are sent, instead: where they are a secret'),
    expect: shortText('A text that the answer must hold; absent: any answer will do', 200).optional(),
    expect_hex: hex('Bytes that the answer must hold, instead'),
    ...answerBytes,
    ...plainTls,
  })
  .meta({ description: ABOUT_PLAIN });

/** 100 to 599, single or first-last; ranges in the code. */
const statusList = (() => {
  const error = 'write a status, a range like 200-299, or a list of up to 16';
  const one = z.union([z.int({ error }), z.string({ error })], { error });
  return z
    .union([one, z.array(one).min(1, { error }).max(16, { error })], { error })
    .meta({
      title: 'status, range or list of them',
      description: 'The status that the answer must have. A redirection is followed nowhere',
      examples: [200, '200-299', [200, 301]],
    })
    .transform((value, ctx): readonly PortRange[] => {
      const ranges = [value].flat().map(readPortRange);
      if (ranges.every(range => range !== undefined && range.first >= 100 && range.last <= 599))
        return ranges as readonly PortRange[];
      ctx.addIssue({ code: 'custom', message: `${JSON.stringify(value)} is no status; ${error}` });
      return z.NEVER;
    })
    .prefault('200-299');
})();

const httpCheck = z
  .strictObject({
    type: z.literal('http').meta({ description: 'One HTTP/1.1 request; HTTPS with tls: implicit' }),
    ...plainPace,
    ...checkedPort,
    method: z.enum(['GET', 'HEAD']).default('GET').meta({ description: 'HEAD asks for no body' }),
    path: z
      .string()
      .regex(/^\/[!-"$-~]{0,1023}$/, { error: 'it is no path; write one from / on, without blanks' })
      .default('/')
      .meta({ description: 'What is asked for, with its query; what follows a ? is never logged' }),
    host: z
      .string()
      .regex(/^[A-Za-z0-9._:[\]-]{1,255}$/, { error: 'write a name, with :PORT if need be' })
      .optional()
      .meta({ description: 'The name in the Host header; absent: tls_name, or the address of the server' }),
    status: statusList,
    ...contentFields('the body'),
    max_bytes: integer('Bytes read of the body before the check is content', 1, 16_777_216).default(65_536),
    ...plainTls,
  })
  .meta({ description: ABOUT_PLAIN });

const tlsCheck = z
  .strictObject({
    type: z.literal('tls').meta({ description: 'A TLS handshake: the chain, the name and the end of the certificate' }),
    ...plainPace,
    ...checkedPort,
    ...certificateFields,
  })
  .meta({ description: ABOUT_PLAIN });

const icmpCheck = z
  .strictObject({
    type: z.literal('icmp').meta({
      description: 'The host of the server answers an ICMP echo, whatever its service does; needs ping (iputils)',
    }),
    ...plainPace,
  })
  .meta({ description: ABOUT_PLAIN });

const datagramCheck = z
  .strictObject({
    type: z.literal('datagram').default('datagram').meta({
      description:
        'How a server is checked. datagram: it is sent an empty datagram, and fails when it, or a router on the way, says within timeout that nobody is there; one that says nothing passes. send_expect: what is sent is answered, in one datagram each way. connect, http: over TCP, at a port that need not be one of its clients. icmp: its host answers an echo. The fields of each are below',
    }),
    ...plainPace,
    ...checkedPort,
  })
  .meta({ description: ABOUT_PLAIN });

/** The same for a service whose own check is another one. */
const tcpPortCheck = z
  .strictObject({
    type: z.literal('connect').meta({ description: 'The server takes a TCP connection at check.port' }),
    ...plainPace,
    ...checkedPort,
  })
  .meta({ description: ABOUT_PLAIN });

export const tcpCheck = z
  .discriminatedUnion('type', [connectCheck, bannerCheck, sendExpectCheck, httpCheck, tlsCheck, icmpCheck])
  .meta({ description: 'How a nanny checks the real servers' });

export const udpCheck = z
  .discriminatedUnion('type', [datagramCheck, sendExpectCheck, tcpPortCheck, httpCheck, icmpCheck])
  .meta({ description: 'How a nanny checks the real servers' });
