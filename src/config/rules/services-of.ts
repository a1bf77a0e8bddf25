// The services that rules look at. Pure.
import type { Config, FtpServiceConfig, PlainServiceConfig, ServiceConfig } from '../schema.ts';

/** Bounds the rules that compare services with each other. */
export const SERVICES_MAX = 256;

/** All services; none when there are too many, which is told by a rule of its own. */
export function servicesOf(config: Config): (readonly [name: string, service: ServiceConfig])[] {
  const services = Object.entries(config.services);
  return services.length > SERVICES_MAX ? [] : services;
}

/** Those of FTP. */
export function ftpServicesOf(config: Config): (readonly [name: string, service: FtpServiceConfig])[] {
  return servicesOf(config).flatMap(([name, service]) => (service.kind === 'ftp' ? [[name, service] as const] : []));
}

/** All others. */
export function plainServicesOf(config: Config): (readonly [name: string, service: PlainServiceConfig])[] {
  return servicesOf(config).flatMap(([name, service]) => (service.kind === 'ftp' ? [] : [[name, service] as const]));
}
