# Registers a task that runs the proxy at each logon of this user, and starts it; -Remove stops and removes it.
# Run `camunda-auth-proxy check` first: the task has no window to show a mistake.
param(
    [string]$Program = "$env:LOCALAPPDATA\camunda-auth-proxy\Scripts\camunda-auth-proxy.exe",
    [string]$Config = "$env:APPDATA\camunda-auth-proxy\config.yaml",
    [switch]$Remove
)
$ErrorActionPreference = 'Stop'
$name = 'camunda-auth-proxy'

if ($Remove) {
    Stop-ScheduledTask -TaskName $name
    Unregister-ScheduledTask -TaskName $name -Confirm:$false
    return
}
foreach ($file in $Program, $Config) {
    if (-not (Test-Path -PathType Leaf $file)) { throw "$file does not exist." }
}
# conhost --headless: a console program without a window (Windows 10 1809 and later).
$action = New-ScheduledTaskAction -Execute "$env:SystemRoot\System32\conhost.exe" `
    -Argument "--headless `"$Program`" run --config `"$Config`"" -WorkingDirectory (Split-Path $Config)
$trigger = New-ScheduledTaskTrigger -AtLogOn -User "$env:USERDOMAIN\$env:USERNAME"
$settings = New-ScheduledTaskSettingsSet -RestartCount 999 -RestartInterval (New-TimeSpan -Minutes 1) `
    -ExecutionTimeLimit ([TimeSpan]::Zero) -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries -MultipleInstances IgnoreNew
$principal = New-ScheduledTaskPrincipal -UserId "$env:USERDOMAIN\$env:USERNAME" -LogonType Interactive -RunLevel Limited
Register-ScheduledTask -TaskName $name -Action $action -Trigger $trigger -Settings $settings -Principal $principal -Force | Out-Null
Start-ScheduledTask -TaskName $name
Write-Output "Registered and started. Look at it with: & `"$Program`" health"
