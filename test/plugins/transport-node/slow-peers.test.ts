import plugin from '../../../plugins/transport-node/index.js';
import { slowPeersContract } from '../../contracts/slow-peers.contract.js';

slowPeersContract('transport-node', plugin);
