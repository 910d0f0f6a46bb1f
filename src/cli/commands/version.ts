import { arch, platform, versions } from 'node:process';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT } from '../exit.ts';
import { print } from '../texts/output.ts';
import { VERSION } from '../version.ts';

export function versionCommand(context: Context, { output }: GlobalOptions): number {
  const data = { version: VERSION, node: versions.node, platform, arch };
  print(context, output, {
    data,
    human: () => `secretbridge ${VERSION}\nNode ${versions.node} on ${platform} (${arch})`,
  });
  return EXIT.ok;
}
