import { z } from 'zod';
import type { Naming } from '../../core/mapping.ts';
import { isPath, NOT_A_PATH } from '../path.ts';

export const FilesConfig = z
  .strictObject({
    kind: z.literal('files'),
    path: z
      .string()
      .min(1)
      .refine(isPath, { error: NOT_A_PATH })
      .meta({
        description:
          'The folder. Keys are paths relative to it, with extension; nothing outside it is ever read. Replace a file ' +
          'by renaming a complete one over it: while one is written in place, what is in it so far is its value.',
        examples: ['./secrets'],
      }),
  })
  .meta({ title: 'A folder of files' });
export type FilesConfig = z.output<typeof FilesConfig>;

export const filesNaming: Naming = { unlisted: 'dotted' };
