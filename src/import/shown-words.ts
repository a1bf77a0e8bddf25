// The words that the readers of old configs know. What stands behind another one is not shown: it
// may be a misspelt word with a password behind it. Pure.
import {
  CHECK_WORDS,
  GLOBAL_WORDS,
  GROUP_WORDS,
  INSTANCE_WORDS,
  REAL_SERVER_WORDS,
  SCRIPT_WORDS,
  TOP_WORDS,
  VIRTUAL_SERVER_WORDS,
} from './keepalived-words.ts';

/** Beside those in the tables of words that are not carried over. */
const KEEPALIVED = `include includer includem includew includeb includea global_defs lvs_timeouts vrrp_instance vrrp_sync_group
  vrrp_script virtual_server virtual_server_group interface nopreempt priority track_script virtual_ipaddress
  virtual_ipaddress_excluded unicast_src_ip mcast_src_ip unicast_peer script interval timeout rise fall weight
  lb_algo lvs_sched lb_kind lvs_method persistence_timeout persistence_granularity protocol sorry_server
  real_server inhibit_on_failure sh-port sh-fallback mh-port mh-fallback uthreshold lthreshold tcp_check http_get
  ssl_get smtp_check dns_check udp_check ping_check misc_check bfd_check file_check connect_port nb_get_retry url
  path status_code digest enable_sni helo_name host type name misc_path misc_timeout misc_dynamic`;

const LVS_CF = `serial_no primary primary_private backup backup_private backup_active service network nat_router nat_nmask
  heartbeat heartbeat_port keepalive deadtime debug_level monitor_links syncdaemon syncd_iface syncd_id hard_shutdown
  nmask method ipvsadm sync rsh_command primary_shared backup_shared reservation_conflict_action
  tcp_timeout tcpfin_timeout udp_timeout virtual failover server active address vip_nmask port fwmark protocol scheduler
  persistent pmask sorry_server use_regex timeout reentry load_monitor quiesce_server weight client_monitor master dirs`;

const LDIRECTORD = `virtual virtual6 real real6 checktype service checkport checktimeout negotiatetimeout checkinterval
  checkcount failurecount quiescent fallback fallback6 virtualhost httpmethod scheduler persistent netmask protocol
  autoreload logfile supervised fork cleanstop readdquiescent maintenancedir emailalert emailalertfrom emailalertfreq
  emailalertstatus smtp monitorfile load`;

/** What stands behind these is masked for what it is (mask.ts). */
const HIDING = `authentication auth_type auth_pass misc_path script payload require_reply user
  send expect send_program expect_program start_cmd stop_cmd active_cmd inactive_cmd
  request receive login passwd database secret checkcommand fallbackcommand callback execute`;

const KNOWN: ReadonlySet<string> = new Set(
  [
    ...[KEEPALIVED, LVS_CF, LDIRECTORD, HIDING].flatMap(text => text.split(/\s+/)),
    ...[
      CHECK_WORDS,
      GLOBAL_WORDS,
      GROUP_WORDS,
      INSTANCE_WORDS,
      REAL_SERVER_WORDS,
      SCRIPT_WORDS,
      TOP_WORDS,
      VIRTUAL_SERVER_WORDS,
    ].flatMap(table => Object.keys(table)),
  ].map(word => word.toLowerCase()),
);

/** Whether a reader knows the word, in whatever case. */
export function isKnownWord(word: string): boolean {
  return KNOWN.has(word.toLowerCase());
}
