import type { Command } from 'commander';
import { nearest } from '../../config/problem.ts';
import { EXIT } from '../exit.ts';
import { UsageError } from '../usage-error.ts';

export function helpCommand(program: Command, words: readonly string[]): number {
  let found = program;
  for (const word of words) {
    const next = found.commands.find((command) => command.name() === word);
    if (next === undefined) throw new UsageError(unknownCommand(found, word));
    found = next;
  }
  found.outputHelp();
  return EXIT.ok;
}

function unknownCommand(within: Command, word: string): string {
  const names = within.commands.map((command) => command.name());
  const near = nearest(word, names);
  const hint = near === undefined ? '' : `; did you mean ${JSON.stringify(near)}?`;
  return `there is no command ${JSON.stringify(word)}${hint}`;
}
