import { AZURE } from './kinds/azure.ts';
import { describeMatrix } from './matrix-suite.ts';

describeMatrix(AZURE);
