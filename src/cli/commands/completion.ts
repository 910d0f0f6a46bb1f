import type { Command } from 'commander';
import { bashScript } from '../completion/bash.ts';
import { fishScript } from '../completion/fish.ts';
import { type CommandShape, type Shell, shapesOf } from '../completion/shape.ts';
import { zshScript } from '../completion/zsh.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../exit.ts';

const SCRIPTS: Readonly<Record<Shell, (shapes: readonly CommandShape[]) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

export function completionCommand({ stdout }: Context, program: Command, shell: Shell): number {
  stdout.write(SCRIPTS[shell](shapesOf(program)));
  return EXIT.ok;
}
