using Microsoft.Extensions.Logging;

namespace Oxen.Router.Hosting;

/// <summary>
/// Every log line of the router: one id, one template each. Nothing at Information or above is written per request, and
/// nothing at any level says who talks to whom (<see cref="Redacted{T}"/>), carries payload or keys.
/// Ids: 1000 process, 1100 links, 1200 paths, 1300 doors, 1400 exit, 1500 plug-ins, 1600 tunnel, 1700 swarm, 1900 ledger and names.
/// </summary>
internal static partial class RouterLog
{
    [LoggerMessage(1000, LogLevel.Information, "oxen {Version} is up as {Roles}")]
    public static partial void Started(ILogger log, string version, string roles);

    [LoggerMessage(1001, LogLevel.Information, "stopping: draining for at most {Seconds} s")]
    public static partial void Stopping(ILogger log, double seconds);

    [LoggerMessage(1002, LogLevel.Information, "stopped")]
    public static partial void Stopped(ILogger log);

    [LoggerMessage(1003, LogLevel.Warning, "the clock is off by {Seconds} s from the network's: correct it (for example with chrony)")]
    public static partial void ClockOff(ILogger log, double seconds);

    [LoggerMessage(1004, LogLevel.Error, "a driver failed and is started again in {Milliseconds} ms")]
    public static partial void DriverFailed(ILogger log, int milliseconds, Exception cause);

    [LoggerMessage(1005, LogLevel.Warning, "the clock was off by {Seconds} s from the network's: corrected inside this program alone; set it right (for example with chrony)")]
    public static partial void ClockCorrected(ILogger log, double seconds);

    [LoggerMessage(1006, LogLevel.Information, "{Routers} routers on the contact list, valid until {Until}; {Refused} contacts on it were refused")]
    public static partial void ListRead(ILogger log, int routers, string until, int refused);

    [LoggerMessage(1007, LogLevel.Error, "{Thread} failed: {Text}")]
    public static partial void Fault(ILogger log, string thread, string text, Exception? cause);

    [LoggerMessage(1008, LogLevel.Information, "listening on UDP {Address} with {Shards} threads")]
    public static partial void Listening(ILogger log, string address, int shards);

    [LoggerMessage(1009, LogLevel.Warning, "the contact list has expired ({Until}): its routers are still looked for, and fresh contacts are learnt from those that answer; get a current list when there is one")]
    public static partial void ListExpired(ILogger log, string until);

    [LoggerMessage(1010, LogLevel.Warning, "{Trouble}")]
    public static partial void StateTrouble(ILogger log, string trouble);

    [LoggerMessage(1011, LogLevel.Information, "the onion key was replaced; the one before is kept for a day")]
    public static partial void OnionKeyRotated(ILogger log);

    [LoggerMessage(1100, LogLevel.Debug, "a link to {Peer} is up")]
    public static partial void LinkUp(ILogger log, Redacted<string> peer);

    [LoggerMessage(1101, LogLevel.Debug, "a link to {Peer} is down: {Reason}")]
    public static partial void LinkDown(ILogger log, Redacted<string> peer, string reason);

    [LoggerMessage(1102, LogLevel.Warning, "OXN5001: a router showed another key than its contact pins; the link was refused. Somebody may stand in between, or the contact list is old")]
    public static partial void WrongPeerKey(ILogger log);

    [LoggerMessage(1200, LogLevel.Debug, "a path of {Hops} hops stands after {Milliseconds} ms")]
    public static partial void PathBuilt(ILogger log, int hops, double milliseconds);

    [LoggerMessage(1201, LogLevel.Debug, "a path failed: {Reason}")]
    public static partial void PathFailed(ILogger log, string reason);

    [LoggerMessage(1202, LogLevel.Warning, "OXN5003: there is no path: {Reason}. Trying on")]
    public static partial void NoPath(ILogger log, string reason);

    [LoggerMessage(1203, LogLevel.Information, "the first path stands; traffic can flow")]
    public static partial void FirstPath(ILogger log);

    [LoggerMessage(1210, LogLevel.Information, "the hidden service {Service} begins: {Address}")]
    public static partial void ServiceBegins(ILogger log, string service, string address);

    [LoggerMessage(1211, LogLevel.Information, "the hidden service {Service} can be found: {Address}")]
    public static partial void ServicePublished(ILogger log, string service, string address);

    [LoggerMessage(1212, LogLevel.Information, "clients can find the hidden service now")]
    public static partial void ServiceFound(ILogger log);

    [LoggerMessage(1213, LogLevel.Error, "IP packets of services are taken no longer: the interface {Interface}: {Reason}")]
    public static partial void PacketsLost(ILogger log, string @interface, string reason);

    [LoggerMessage(1300, LogLevel.Information, "{Door} proxy is listening on {Address}")]
    public static partial void DoorOpen(ILogger log, string door, string address);

    [LoggerMessage(1301, LogLevel.Debug, "{Door}: no way for a request: {Reason}")]
    public static partial void DoorRefused(ILogger log, string door, string reason);

    [LoggerMessage(1302, LogLevel.Information, "the DNS resolver is listening on {Address} (UDP and TCP); names of the outside: {Forward}")]
    public static partial void ResolverOpen(ILogger log, string address, string forward);

    [LoggerMessage(1303, LogLevel.Warning, "a killed client had left its routes and rules for mapped addresses; they were replaced")]
    public static partial void MappedRecovered(ILogger log);

    [LoggerMessage(1400, LogLevel.Information, "exit service with {Rules} rules and {Exceptions} exceptions")]
    public static partial void ExitOpen(ILogger log, int rules, int exceptions);

    [LoggerMessage(1500, LogLevel.Error, "the handler of {Method} failed")]
    public static partial void HandlerFailed(ILogger log, string method, Exception cause);

    [LoggerMessage(1600, LogLevel.Information, "the tunnel's interface {Interface} is up, {Families}")]
    public static partial void TunnelOpen(ILogger log, string @interface, string families);

    [LoggerMessage(1601, LogLevel.Information, "an exit has leased addresses; IP packets pass the tunnel")]
    public static partial void TunnelReady(ILogger log);

    [LoggerMessage(1602, LogLevel.Error, "the tunnel's interface is gone: {Reason}")]
    public static partial void TunnelLost(ILogger log, string reason);

    [LoggerMessage(1603, LogLevel.Warning, "a killed exit had left its address translation; it was taken back")]
    public static partial void TunnelRecovered(ILogger log);

    [LoggerMessage(1700, LogLevel.Information, "storage is open: HTTPS on {Address}; swarm {Swarm} of {Members} members, {Nodes} storage nodes in all")]
    public static partial void SwarmOpen(ILogger log, string address, string swarm, int members, int nodes);

    [LoggerMessage(1701, LogLevel.Warning, "storage: {Count} of the other storage nodes do not answer; `oxen swarm status` names them")]
    public static partial void SwarmUnreachable(ILogger log, int count);

    [LoggerMessage(1702, LogLevel.Error, "storage: {Trouble}")]
    public static partial void SwarmTrouble(ILogger log, string trouble);

    [LoggerMessage(1703, LogLevel.Information, "storage: it works again")]
    public static partial void SwarmRecovered(ILogger log);

    [LoggerMessage(1900, LogLevel.Information, "a copy of the ledger ({Engine}) stands at height {Height}; JSON-RPC: {Address}")]
    public static partial void LedgerOpen(ILogger log, string engine, ulong height, string address);

    [LoggerMessage(1901, LogLevel.Warning, "OXN6003: the registry of nodes is not there: {Trouble}. Nobody is a relay until it is; trying on")]
    public static partial void NodesTrouble(ILogger log, string trouble);

    [LoggerMessage(1902, LogLevel.Warning, "OXN6008: the ledger: {Trouble}. Trying on")]
    public static partial void LedgerTrouble(ILogger log, string trouble);
}
