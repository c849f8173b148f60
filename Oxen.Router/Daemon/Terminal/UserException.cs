using System.Net.Sockets;
using Oxen.Router.Hosting;

namespace Oxen.Router.Daemon.Terminal;

/// <summary>What the process returns to its caller; documented in docs/oxen.md.</summary>
internal static class ExitCode
{
    public const int Ok = 0;

    /// <summary>A check was made and did not pass.</summary>
    public const int CheckFailed = 1;

    /// <summary>Command line or configuration.</summary>
    public const int Usage = 2;

    /// <summary>The machine: a port in use, a file that cannot be read, a missing permission.</summary>
    public const int Environment = 3;
    public const int Keys = 4;

    /// <summary>The network: no path, a peer with a wrong key, a clock that is off.</summary>
    public const int Network = 5;

    /// <summary>A fault of ours.</summary>
    public const int Internal = 70;

    /// <summary>The library's errors have a code alone: its first digit tells.</summary>
    public static int Of(OxenException e) => e is UserException user ? user.ExitCode : e.Code switch
    {
        ['O', 'X', 'N', '1' or '2', ..] => Usage,
        ['O', 'X', 'N', '4', ..] => Keys,
        ['O', 'X', 'N', '5', ..] => Network,
        _ => Environment,
    };
}

/// <summary>An error of the program that the user can do something about, with what the process returns for it.</summary>
internal sealed class UserException(int exitCode, string code, string message, string remedy, Exception? inner = null) : OxenException(code, message, remedy, inner)
{
    public int ExitCode { get; } = exitCode;

    public static UserException PortBusy(string what, string address, Exception? inner = null) =>
        new(Terminal.ExitCode.Environment, "OXN3001", $"{what}: the address {address} is in use", "Stop the program that listens there (`ss -lnptu` shows it), or choose another port.", inner);

    public static UserException NotPermitted(string what, string address, Exception? inner = null) =>
        new(Terminal.ExitCode.Environment, "OXN3002", $"{what}: listening on {address} is not permitted", "Ports below 1024 need CAP_NET_BIND_SERVICE; a port above needs nothing.", inner);

    public static UserException NoSuchAddress(string what, string address, Exception? inner = null) =>
        new(Terminal.ExitCode.Environment, "OXN3003", $"{what}: this machine has no address for {address}", "`ip address` lists what it has; 0.0.0.0 or [::] means all of them.", inner);

    /// <summary>What opening a socket ran into, as an error that says what to do.</summary>
    public static UserException CannotBind(string what, string address, Exception e)
    {
        SocketError error = (e as SocketException ?? e.InnerException as SocketException)?.SocketErrorCode
            ?? e.HResult switch { 98 => SocketError.AddressAlreadyInUse, 99 => SocketError.AddressNotAvailable, 1 or 13 => SocketError.AccessDenied, _ => SocketError.Success };
        if (e.InnerException is Microsoft.AspNetCore.Connections.AddressInUseException) error = SocketError.AddressAlreadyInUse;
        return error switch
        {
            SocketError.AddressAlreadyInUse => PortBusy(what, address, e),
            SocketError.AddressNotAvailable => NoSuchAddress(what, address, e),
            SocketError.AccessDenied => NotPermitted(what, address, e),
            _ => new UserException(Terminal.ExitCode.Environment, "OXN3003", $"{what}: {address} cannot be listened on: {e.Message}", "`ip address` lists this machine's addresses.", e),
        };
    }

    public static UserException NotOnList(string message, string remedy) => new(Terminal.ExitCode.Keys, "OXN4005", message, remedy);

    public static UserException WrongPeerKey(Exception? inner = null) =>
        new(Terminal.ExitCode.Network, "OXN5001", "a router showed another key than the contact list pins", "Somebody may stand in between, or the contact list is old: fetch it anew from whom you trust.", inner);

    public static UserException ClockOff(TimeSpan by) =>
        new(Terminal.ExitCode.Network, "OXN5002", $"this machine's clock is off by {by.TotalSeconds:F1} s from the network's", "Set it right, for example with `systemctl enable --now systemd-timesyncd` or chrony.");

    public static UserException NoPath(string reason) =>
        new(Terminal.ExitCode.Network, "OXN5003", $"no path could be built: {reason}", "Check the network connection and the contact list.");
}
