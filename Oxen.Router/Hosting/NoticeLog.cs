using Microsoft.Extensions.Logging;

namespace Oxen.Router.Hosting;

/// <summary>Writes what a router notices into the log: what repeats, once.</summary>
/// <param name="hops">Of a client's paths.</param>
internal sealed class NoticeLog(ILogger log, int hops)
{
    private int _wrongKeySaid, _pathSaid;

    /// <summary>Any thread.</summary>
    public void Add(RouterNotice notice)
    {
        switch (notice.Kind)
        {
            case RouterNoticeKind.LinkUp:
                RouterLog.LinkUp(log, new Redacted<string>(""));
                break;
            case RouterNoticeKind.LinkDown:
                RouterLog.LinkDown(log, new Redacted<string>(""), notice.Text);
                break;
            case RouterNoticeKind.WrongPeerKey:
                if (Interlocked.Exchange(ref _wrongKeySaid, 1) == 0) RouterLog.WrongPeerKey(log);
                break;
            case RouterNoticeKind.PathReady:
                RouterLog.PathBuilt(log, hops, notice.Time.TotalMilliseconds);
                if (Interlocked.Exchange(ref _pathSaid, 1) == 0) RouterLog.FirstPath(log);
                break;
            case RouterNoticeKind.PathLost or RouterNoticeKind.SessionLost:
                RouterLog.PathFailed(log, notice.Text);
                break;
            case RouterNoticeKind.TunnelReady:
                RouterLog.TunnelReady(log);
                break;
            case RouterNoticeKind.TunnelLost:
                RouterLog.TunnelLost(log, notice.Text);
                break;
            case RouterNoticeKind.ClockCorrected:
                RouterLog.ClockCorrected(log, Math.Round(notice.Time.TotalSeconds, 1));
                break;
            case RouterNoticeKind.OwnClockOff:
                RouterLog.ClockOff(log, Math.Round(notice.Time.TotalSeconds, 1));
                break;
            case RouterNoticeKind.Fault:
                RouterLog.Fault(log, notice.Router, notice.Text, notice.Exception);
                break;
        }
    }
}
