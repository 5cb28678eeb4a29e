import { describe, expect, test } from '@jest/globals';
import { closedTo, isClosed } from './addresses.ts';

const administrator = closedTo('administrator', false);
const stranger = closedTo('stranger', false);

describe('nobody is sent to', () => {
  test.each([
    // Credentials of cloud machines.
    '169.254.169.254',
    '169.254.170.2',
    '168.63.129.16',
    '100.100.100.200',
    '192.0.0.192',
    'fd00:ec2::254',
    'fd00:ec2::23',
    'fd20:ce::254',
    'fe80::1',
    'fe80::1%eth0',
    'febf::1',
    // This machine.
    '127.0.0.1',
    '127.255.255.254',
    '0.0.0.0',
    '::1',
    '::',
    '::1%lo',
    '0:0:0:0:0:0:0:1',
    // IPv4 in the clothes of IPv6.
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::ffff:169.254.169.254',
    '0:0:0:0:0:ffff:a9fe:a9fe',
    '::127.0.0.1',
    '::a9fe:a9fe',
    '64:ff9b::7f00:1',
    '64:ff9b::169.254.169.254',
    '2002:7f00:1::',
    '2002:a9fe:a9fe::1',
    // Not an address at all.
    '',
    'localhost',
    '1.2.3',
    '0x7f000001',
  ])('%s', (address) => {
    expect([isClosed(administrator, address), isClosed(stranger, address)]).toEqual([true, true]);
  });
});

describe('an administrator may point at, and a stranger may not', () => {
  test.each([
    '10.0.0.1',
    '10.96.0.1',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '100.64.0.1',
    '192.0.0.1',
    '198.18.0.1',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    'fc00::1',
    'fd12:3456::1',
    'fec0::1',
    'ff02::1',
    '2001:db8::1',
    '::ffff:10.0.0.1',
    '::ffff:a00:1',
    '64:ff9b::a00:1',
    '64:ff9b::192.168.0.1',
    '64:ff9b:1::a00:1',
    '2002:a00:1::',
    '2002:c0a8:101::1',
    '2001:0:4136:e378:8000:63bf:3fff:fdd2',
    '::10.0.0.1',
  ])('%s', (address) => {
    expect([isClosed(administrator, address), isClosed(stranger, address)]).toEqual([false, true]);
  });
});

describe('anybody may go to', () => {
  test.each([
    '8.8.8.8',
    '1.1.1.1',
    '172.15.255.255',
    '172.32.0.1',
    '100.63.255.255',
    '169.253.255.255',
    '169.255.0.1',
    '2606:4700::1111',
    '::ffff:8.8.8.8',
    // Where a cluster has no IPv4, DNS64 gives the whole Internet such addresses.
    '64:ff9b::808:808',
    '2002:808:808::1',
  ])('%s', (address) => {
    expect([isClosed(administrator, address), isClosed(stranger, address)]).toEqual([false, false]);
  });
});

test('a laptop opens itself, and its cloud credentials stay closed', () => {
  const laptop = closedTo('stranger', true);
  const open = ['127.0.0.1', '::1', '169.254.169.254', '10.0.0.1', '64:ff9b::a9fe:a9fe'].filter(
    (address) => !isClosed(laptop, address),
  );
  expect(open).toEqual(['127.0.0.1', '::1']);
});
