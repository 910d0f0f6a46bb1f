import { VAULT_1 } from './kinds/vault.ts';
import { describeMatrix } from './matrix-suite.ts';

describeMatrix(VAULT_1);
