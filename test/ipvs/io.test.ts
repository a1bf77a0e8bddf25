import test from 'ava';
import { CommandError, type CommandResult, type Run } from '../../src/command/io/run-command.ts';
import { createKernel } from '../../src/director/io/kernel.ts';
import { createNft } from '../../src/firewall/io/nft.ts';
import { createIpvsadm } from '../../src/ipvs/io/ipvsadm.ts';
import { type IpvsCommand, markKey } from '../../src/ipvs/table.ts';
import type { Address } from '../../src/units/address.ts';
import { ipvsModel, modelIpvsadm } from './model.ts';

function answering(result: Partial<CommandResult>): Run {
  return async () => ({ status: 0, stdout: '', stderr: '', ...result });
}

const missing: Run = async program => {
  throw new CommandError(program, 'missing', `${program} is not installed`);
};

// The words of ipvsadm 1.31 on kernels without IPVS, and as a plain user.
const NO_KERNEL = `modprobe: FATAL: Module ip_vs not found in directory /lib/modules/6.18.44
Can't initialize ipvs: Protocol not available
Are you sure that IP Virtual Server is built in the kernel or as module?
`;
const NOT_ROOT = `Can't initialize ipvs: Permission denied (you must be root)
Are you sure that IP Virtual Server is built in the kernel or as module?
`;

for (const { title, run, failure, message } of [
  { title: 'ipvsadm is missing', run: missing, failure: 'missing', message: /apt-get install ipvsadm/ },
  {
    title: 'the kernel has no IPVS',
    run: answering({ status: 2, stderr: NO_KERNEL }),
    failure: 'no-kernel',
    message: /modprobe ip_vs.*linux-image-amd64/,
  },
  {
    title: 'it is not run by root',
    run: answering({ status: 2, stderr: NOT_ROOT }),
    failure: 'not-permitted',
    message: /root/,
  },
  {
    title: 'it fails in another way',
    run: answering({ status: 9, stderr: 'odd\n' }),
    failure: 'failed',
    message: /status 9: odd/,
  },
] as const) {
  test(`when ${title}, the error says what to do`, async t => {
    const error = await t.throwsAsync(createIpvsadm(run).readTable(), { name: 'IpvsadmError', message });
    t.is((error as unknown as { failure: string }).failure, failure);
  });
}

test('complaints of a batch come back line by line, although its exit status is 0', async t => {
  const ipvsadm = createIpvsadm(answering({ status: 0, stderr: 'Service not defined\n' }));
  t.deepEqual(await ipvsadm.apply([{ type: 'delete-service', key: markKey(21, 4) }]), ['Service not defined']);
});

test('a scheduler that the kernel lacks is named with its module and its service, and nothing that follows from it', async t => {
  const model = ipvsModel();
  model.lacks.add('twos');
  const service = (mark: number, scheduler: string): IpvsCommand[] => {
    const key = markKey(mark, 4);
    const address = '198.51.100.11' as Address;
    return [
      { type: 'add-service', service: { key, scheduler, persistenceS: 360, mask: '', schedulerFlags: '' } },
      {
        type: 'add-server',
        server: { key, address, forwarding: 'nat', weight: 1, port: 0, upperThreshold: 0, lowerThreshold: 0 },
      },
    ];
  };
  const words = await createIpvsadm(modelIpvsadm(model)).apply([...service(21, 'wlc'), ...service(22, 'twos')]);
  t.is(words.length, 1);
  t.regex(words[0] ?? '', /^service "-f 22": this kernel has no scheduler twos: its module ip_vs_twos is missing/);
});

test('a table that changes during every read is an error after a few reads, not a guess', async t => {
  let reads = 0;
  const run: Run = async (_program, args) => {
    reads += 1;
    const stdout = args[0] === '-Sn' ? '-A -f 21 -s rr\n-a -f 21 -r 198.51.100.11:0 -m -w 1\n' : '';
    return { status: 0, stdout, stderr: '' };
  };
  await t.throwsAsync(createIpvsadm(run).readTable(), { message: /changed during each of 4 reads/ });
  t.is(reads, 12);
});

test('nft that is missing, not allowed or without kernel support says what to do', async t => {
  await t.throwsAsync(createNft(missing).listTable(), { message: /apt-get install nftables/ });
  const denied = answering({
    status: 1,
    stderr: 'netlink: Error: cache initialization failed: Operation not permitted\n',
  });
  await t.throwsAsync(createNft(denied).apply('x'), { message: /root/ });
  const poor = answering({ status: 1, stderr: 'Error: Could not process rule: Operation not supported\n' });
  await t.throwsAsync(createNft(poor).apply('x'), { message: /modprobe nf_tables/ });
  const absent = answering({ status: 1, stderr: 'Error: No such file or directory\nlist table inet tandem\n' });
  t.is(await createNft(absent).listTable(), undefined);
});

test('all rules are read without what is in sets, but with what is in maps; where those are too long, without them', async t => {
  const listingOf = (...items: object[]) => JSON.stringify({ nftables: items });
  const [rule, terse, map] = [
    { rule: {} },
    { map: { name: 'a' } },
    { map: { name: 'a', elem: [[1, { drop: null }]] } },
  ];
  const whole: Run = async (_program, args) => {
    const stdout = args.includes('ruleset') ? listingOf(rule, terse) : listingOf(map);
    return { status: 0, stdout: args.includes('-t') === args.includes('ruleset') ? stdout : '', stderr: '' };
  };
  t.deepEqual(JSON.parse(await createNft(whole).listAll()), { nftables: [rule, terse, map] });
  const cut: Run = async (program, args, options) => {
    if (args.includes('maps')) throw new CommandError(program, 'too-much-output', 'more than expected');
    return await whole(program, args, options);
  };
  t.is(await createNft(cut).listAll(), listingOf(rule, terse));
});

test('conntrack: its count is read, nothing to delete is no problem, and a missing program is named', async t => {
  const target = { toAddress: '2001:db8::100' as Address };
  const calls: string[] = [];
  const none: Run = async (program, args) => {
    calls.push([program, ...args].join(' '));
    const stderr = 'conntrack v1.4.7 (conntrack-tools): 0 flow entries have been deleted.\n';
    return { status: 1, stdout: '', stderr };
  };
  t.deepEqual(await createKernel(none).forgetConnections(target), { ok: true, value: 0 });
  t.deepEqual(calls, ['conntrack -D -f ipv6 -p tcp --orig-dst 2001:db8::100']);
  t.deepEqual(await createKernel(missing).forgetConnections(target), {
    ok: false,
    problem: 'conntrack is not installed: `apt-get install conntrack`',
  });
  t.false((await createKernel(answering({ status: 1, stderr: 'odd' })).forgetConnections(target)).ok);
});
