import type { Command } from 'commander';
import { bashScript } from '../completion/bash.ts';
import { type CommandSpec, commandSpecs, type Shell } from '../completion/command-spec.ts';
import { fishScript } from '../completion/fish.ts';
import { zshScript } from '../completion/zsh.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../exit.ts';

const SCRIPTS: Readonly<Record<Shell, (specs: readonly CommandSpec[]) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

export function completionCommand({ stdout }: Context, program: Command, shell: Shell): number {
  stdout.write(SCRIPTS[shell](commandSpecs(program)));
  return EXIT.ok;
}
