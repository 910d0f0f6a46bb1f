import type { Config } from '../../config/config.ts';
import { allowedAddresses } from '../../notify/addresses.ts';
import { failureOf, hostOf } from '../../notify/post.ts';
import type { ReadCredential } from '../../providers/credentials.ts';

type Attempt = (name: string, work: () => Promise<unknown>) => Promise<unknown>;

/** Tests whether notifications could be sent: credentials and addresses. Sends nothing. */
export async function checkChannels(
  { notify }: Pick<Config, 'notify'>,
  credential: ReadCredential,
  attempt: Attempt,
): Promise<void> {
  for (const channel of notify) {
    const { name, allowPrivate } = channel;
    const checkHost = async (host: string) => {
      try {
        await allowedAddresses(host, allowPrivate);
      } catch (thrown) {
        throw failureOf(thrown, false);
      }
    };
    if (channel.kind === 'email') {
      const { address, server } = channel;
      await attempt(`notify ${name}: address`, () => credential(address));
      const { password } = server;
      if (password !== undefined) await attempt(`notify ${name}: password`, () => credential(password));
      await attempt(`notify ${name}: server`, () => checkHost(server.host));
      continue;
    }
    if (channel.kind === 'webhook') await attempt(`notify ${name}: secret`, () => credential(channel.secret));
    await attempt(`notify ${name}: url`, async () => checkHost(hostOf(await credential(channel.url))));
  }
}
