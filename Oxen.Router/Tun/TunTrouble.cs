using Oxen.Router.Native.Linux;

namespace Oxen.Router.Tun;

/// <summary>Why a tunnel's interface cannot be set up.</summary>
internal enum TunTrouble
{
    /// <summary>/dev/net/tun is missing.</summary>
    NoDevice,

    /// <summary>CAP_NET_ADMIN is missing.</summary>
    NotPermitted,

    /// <summary>An interface of this name exists, or the name is none.</summary>
    NameTaken,

    /// <summary>An address, a route or a rule exists already.</summary>
    RangeTaken,

    /// <summary>The kernel refuses, for a reason in the words.</summary>
    Refused,
}

/// <summary>What an exception of <see cref="TunInterface.Open"/> means.</summary>
internal static class TunTroubles
{
    /// <summary>Null: the exception is none of the interface's.</summary>
    public static TunTrouble? Of(Exception e) => (e as TunException)?.Fault switch
    {
        null => null,
        TunFault.NoDevice => TunTrouble.NoDevice,
        TunFault.NotPermitted => TunTrouble.NotPermitted,
        TunFault.NameTaken or TunFault.BadName => TunTrouble.NameTaken,
        TunFault.RangeTaken => TunTrouble.RangeTaken,
        _ => TunTrouble.Refused,
    };
}
