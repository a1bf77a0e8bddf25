// How long the check of a service's real server may take, and how long it is until a verdict. Pure.
import { type Ms, ms } from '../units/duration.ts';
import type { Config, ServiceConfig } from './schema.ts';
import { checkedPorts } from './service-ports.ts';

/**
 * The longest time of one check: of all control ports of FTP, one after the other, and its script.
 */
export function longestCheckMs(service: ServiceConfig): Ms {
  const { timeout, script } = service.check;
  const whole = ms(timeout * checkedPorts(service).length);
  const deadline = service.kind === 'ftp' ? service.check.deadline : undefined;
  const own = deadline === undefined || whole < deadline ? whole : deadline;
  return script === undefined ? own : ms(own + timeout);
}

/**
 * How long a failed server, or fitness check, of each may go unnoticed: each check may take its
 * whole time.
 */
export function noticeTimes({ services, fitness }: Pick<Config, 'services' | 'fitness'>): readonly Ms[] {
  const servers = Object.values(services).map(service =>
    ms(service.check.fall * (service.check.interval + longestCheckMs(service))),
  );
  const checks = Object.values(fitness.checks).map(({ fall, interval, timeout }) => ms(fall * (interval + timeout)));
  return [...servers, ...checks];
}
