import plugin from '../../../plugins/transport-uws/index.js';
import { forgottenUndosContract } from '../../contracts/forgotten-undos.contract.js';

forgottenUndosContract('transport-uws', plugin);
