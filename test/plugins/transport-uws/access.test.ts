import transportUws from '../../../plugins/transport-uws/index.js';
import { accessContract } from '../../contracts/access.contract.js';

accessContract('transport-uws', transportUws);
