import plugin from '../../../plugins/transport-node/index.js';
import { hostsContract } from '../../contracts/hosts.contract.js';

hostsContract('transport-node', plugin);
